/* Vectors of VW floats through GCC vector extensions: one source for SSE2, AVX2, AVX-512 and NEON. */
#ifndef VECTOR_H
#define VECTOR_H
#include "lola.h"
#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VW 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define VW 8
#else
#define VW 4
#if defined(__ARM_NEON)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#endif

/* Vectors of a panel; panels that products take side by side. */
enum { NV = PANEL / VW, PAIR = VW == 16 ? 2 : 1 };

typedef float v4 __attribute__((vector_size(16)));
typedef float vf __attribute__((vector_size(4 * VW)));
typedef int32_t vi __attribute__((vector_size(4 * VW)));
typedef float vf_unaligned __attribute__((vector_size(4 * VW), aligned(4), may_alias));
typedef int8_t vb_unaligned __attribute__((vector_size(VW), aligned(1), may_alias));
typedef uint16_t vh_unaligned __attribute__((vector_size(2 * VW), aligned(2), may_alias));

/* Before a loop of constant length, up to 16: its turns are written out, so that small arrays stay in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { return *(const vf_unaligned *)p; }
INLINE void store(float *p, vf v) { *(vf_unaligned *)p = v; }
INLINE vf splat(float x) { return x - (vf){0}; }

/* The first n < VW elements; the rest are 0. */
INLINE vf load_part(const float *p, uint32_t n) {
  vf v = {0};
  memcpy(&v, p, 4 * n);
  return v;
}
INLINE void store_part(float *p, vf v, uint32_t n) { memcpy(p, &v, 4 * n); }

/* The same for 1 ≤ n, all of the vector from VW on. */
INLINE vf load_up_to(const float *p, uint32_t n) { return n >= VW ? load(p) : load_part(p, n); }
INLINE void store_up_to(float *p, vf v, uint32_t n) {
  if (n >= VW) store(p, v);
  else store_part(p, v, n);
}

INLINE vf blend(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }
/* b where one of the two is no number. */
INLINE vf vmax(vf a, vf b) {
#if VW == 16
  return _mm512_max_ps(a, b);
#elif VW == 8
  return _mm256_max_ps(a, b);
#else
  return blend(a > b, a, b);
#endif
}
INLINE vf vmin(vf a, vf b) {
#if VW == 16
  return _mm512_min_ps(a, b);
#elif VW == 8
  return _mm256_min_ps(a, b);
#else
  return blend(a < b, a, b);
#endif
}

/* From here on a vector is what it is: the compiler neither fuses what made it with what follows nor reorders the two. */
#if defined(__SSE2__)
#define SETTLE(v) __asm__("" : "+v"(v))
#elif defined(__ARM_NEON)
#define SETTLE(v) __asm__("" : "+w"(v))
#else
#define SETTLE(v) __asm__("" : "+m"(v))
#endif

/* a · b + c where it must be the same wherever it stands: compilers fuse what they see at once, here and not there. */
INLINE vf multiply_add(vf a, vf b, vf c) {
#if VW == 16
  return _mm512_fmadd_ps(a, b, c);
#elif VW == 8
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON)
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  vf ab = a * b;
  SETTLE(ab);
  return ab + c;
#endif
}

/* Quarters or halves of a vector, added. */
INLINE v4 fold(vf v) {
#if VW == 16
  return ((v4)_mm512_extractf32x4_ps(v, 0) + (v4)_mm512_extractf32x4_ps(v, 2)) +
         ((v4)_mm512_extractf32x4_ps(v, 1) + (v4)_mm512_extractf32x4_ps(v, 3));
#elif VW == 8
  return (v4)_mm256_extractf128_ps(v, 0) + (v4)_mm256_extractf128_ps(v, 1);
#else
  return v;
#endif
}

/* Pairs are added in a fixed tree. */
INLINE float sum(vf v) {
  const v4 part = fold(v);
  return (part[0] + part[2]) + (part[1] + part[3]);
}
INLINE float maximum(vf v) {
#if VW == 16
  return _mm512_reduce_max_ps(v);
#else
  float best = v[0];
  for (int i = 1; i < VW; i++) best = v[i] > best ? v[i] : best;
  return best;
#endif
}

/* VW elements of weights of a float type, from element i on. */
INLINE vf load_weights(const void *p, size_t i, const uint32_t type) {
  if (type == F32) return load((const float *)p + i);
  const uint16_t *half = (const uint16_t *)p + i;
#if VW == 16
  if (type == F16) return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)half));
#elif VW == 8
  if (type == F16) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)half));
#endif
  const vi high = __builtin_convertvector(*(const vh_unaligned *)half, vi) << 16;
  if (type == BF16) return (vf)high;
#if defined(__aarch64__)
  return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(half)));
#else
  /* The exponent moves by 112 through a product, which is exact and makes subnormals normal. */
  const vi moved = (high >> 3) & (int32_t)0x8fffe000;
  const vi special = ((moved & 0x7fffffff) >= 0x0f800000) & 0x7f800000;
  return (vf)((vi)((vf)moved * 0x1p112f) | special);
#endif
}

/*
 * Asks for the lines of n elements some way ahead of element i, past the end too, for L2: what the processor does by itself
 * stops at each page. Measured: 14 → 18 GB/s on one core.
 */
INLINE void prefetch(const void *p, size_t i, uint32_t n, const uint32_t type) {
  enum { AHEAD = 2048 };
  const uint32_t size = type == F32 ? 4 : 2;
  UNROLL
  for (uint32_t byte = 0; byte < n * size; byte += 64) __builtin_prefetch((const char *)p + i * size + AHEAD + byte, 0, 2);
}

/* Asks for n floats. */
INLINE void ask(const float *p, uint32_t n) {
  for (uint32_t i = 0; i < n; i += 16) __builtin_prefetch(p + i, 0, 2);
}

/* One element of weights. */
INLINE float load_weight(const void *p, size_t i, const uint32_t type) {
  if (type == F32) return ((const float *)p)[i];
  uint16_t padded[VW] = {((const uint16_t *)p)[i]};
  return load_weights(padded, 0, type)[0];
}

INLINE vf vsqrt(vf x) {
#if VW == 16
  return _mm512_sqrt_ps(x);
#elif VW == 8
  return _mm256_sqrt_ps(x);
#else
  for (int i = 0; i < VW; i++) x[i] = sqrtf(x[i]);
  return x;
#endif
}

/*
 * e^x within 2 units in the last place; x is clamped to ±87.3, so that no result is 0, subnormal or infinite.
 * x = n ln 2 + r, |r| ≤ ln 2 / 2; e^r by its Taylor series to r⁷.
 */
INLINE vf vexp(vf x) {
  const float shift = 12582912.0f; /* 1.5 · 2²³: adding it rounds to an integer in the low bits */
  x = vmin(vmax(x, splat(-87.3f)), splat(87.3f));
  vf t = x * 1.44269504f + shift;
  vf n = t - shift;
  vf r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  vf p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  vi scale = (vi)t << 23; /* the integer moved into the exponent; the shift's own bits fall out */
  return (vf)((vi)p + scale);
}

/* gelu_fast: 0.5 x (1 + tanh(u)) = x / (1 + e^(−2u)), u = x c (1 + 0.044715 x²). */
INLINE vf vgelu(vf x) {
  vf u = x * 0.7978845608f * (0.044715f * x * x + 1.0f);
  return x / (vexp(u * -2.0f) + 1.0f);
}

/* The share of x that GELU lets through: s = 1 / (1 + e^(−2u)). */
INLINE vf vgelu_share(vf x) {
  vf u = x * 0.7978845608f * (0.044715f * x * x + 1.0f);
  return 1.0f / (vexp(u * -2.0f) + 1.0f);
}

/* Its derivative: s + 2 x s (1 − s) u'. */
INLINE vf vgelu_slope(vf x) {
  vf s = vgelu_share(x);
  return s + 2.0f * x * s * (1.0f - s) * (0.7978845608f * (0.134145f * x * x + 1.0f));
}

/* Σ a[i] b[i]: four chains. */
INLINE float dot(const float *a, const void *b, size_t at, uint32_t n, const uint32_t type) {
  vf s[4] = {0};
  uint32_t i = 0;
  for (; i + 4 * VW <= n; i += 4 * VW) {
    prefetch(b, at + i, 4 * VW, type);
    for (int j = 0; j < 4; j++) s[j] += load(a + i + j * VW) * load_weights(b, at + i + j * VW, type);
  }
  for (; i + VW <= n; i += VW) s[0] += load(a + i) * load_weights(b, at + i, type);
  float total = sum((s[0] + s[1]) + (s[2] + s[3]));
  for (; i < n; i++) total += a[i] * load_weight(b, at + i, type);
  return total;
}

/* Calls f with the float type as a constant, so that the compiler specialises it. */
#define BY_TYPE(type, f, ...) \
  ((type) == F32 ? f(__VA_ARGS__, F32) : (type) == F16 ? f(__VA_ARGS__, F16) : f(__VA_ARGS__, BF16))

#endif
