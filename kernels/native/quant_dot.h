/* Products of rounded rows with one panel of a quantized matrix: integers within a group, floats from group to group. */
#ifndef QUANT_DOT_H
#define QUANT_DOT_H
#include "quant.h"

typedef int32_t vi_unaligned __attribute__((vector_size(4 * VW), aligned(4), may_alias));

INLINE vi load_codes(const char *p) { return *(const vi_unaligned *)p; }
INLINE vi splat_four(int32_t x) { return x - (vi){0}; }

/* Inputs of the smallest group: they take `bits` lines, and 16 bits hold their sums of 4-bit codes times activations. */
enum { CHUNK = 32 };

/* Is each step of a product one instruction? With AVX-512 it depends on the processor: VNNI came two years later. */
#if VW == 16
#define HAS_DOT (__builtin_cpu_supports("avx512vnni") != 0)
#elif defined(__ARM_FEATURE_DOTPROD)
#define HAS_DOT 1
#else
#define HAS_DOT 0
#endif

#if VW == 16 || defined(__ARM_FEATURE_DOTPROD)
/* sum + four codes of each lane, of `bits` bits, times four activations. */
INLINE vi add_dot(vi sum, vi codes, const int32_t *x, const uint32_t bits) {
#if VW == 16
  (void)bits;
  __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(*x));
  return sum;
#else
  /* There is a product of signed bytes only: a code is twice its half, and the bit that falls off. */
  typedef uint8_t bytes __attribute__((vector_size(16)));
  const int8x16_t terms = (int8x16_t)splat_four(*x);
  if (bits == 4) return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)codes, terms);
  const int8x16_t half = (int8x16_t)((bytes)codes >> 1), bit = (int8x16_t)((bytes)codes & 1);
  return (vi)vdotq_s32(vdotq_s32(vdotq_s32((int32x4_t)sum, half, terms), half, terms), bit, terms);
#endif
}

/* sums[r] += a chunk of one vector of columns; `codes`: its first line; x: [chunk / 4][rows]. */
INLINE void dot_chunk(const uint32_t rows, const uint32_t bits, const char *codes, const int32_t *x, vi *sums) {
  UNROLL
  for (uint32_t line = 0; line < bits; line++) {
    const vi all = load_codes(codes + line * LINE), low = bits == 4 ? all & 0x0f0f0f0f : all;
    UNROLL
    for (uint32_t r = 0; r < rows; r++, x++) sums[r] = add_dot(sums[r], low, x, bits);
    if (bits == 8) continue;
    const vi high = (all >> 4) & 0x0f0f0f0f;
    UNROLL
    for (uint32_t r = 0; r < rows; r++, x++) sums[r] = add_dot(sums[r], high, x, bits);
  }
}
#else
#define dot_chunk pair_chunk
#endif

#if WIDE
/* sum + the pairs of codes, 16 bits each, of each lane times a pair of activations. */
INLINE vi add_pairs(vi sum, vi codes, int32_t x) {
#if defined(__SSE2__)
  return sum + (vi)_mm_madd_epi16((__m128i)codes, (__m128i)splat_four(x));
#else
  /* 255 · 127 fits 16 bits. */
  typedef int16_t pairs __attribute__((vector_size(16)));
  const pairs products = (pairs)codes * (pairs)splat_four(x);
#if defined(__ARM_NEON)
  return (vi)vpadalq_s16((int32x4_t)sum, (int16x8_t)products);
#else
  return sum + (((vi)products << 16) >> 16) + ((vi)products >> 16);
#endif
#endif
}

INLINE void pair_chunk(const uint32_t rows, const uint32_t bits, const char *codes, const int32_t *x, vi *sums) {
  const int32_t mask = bits == 4 ? 0x000f000f : 0x00ff00ff;
  UNROLL
  for (uint32_t line = 0; line < bits; line++) {
    const vi all = load_codes(codes + line * LINE);
    UNROLL
    for (uint32_t shift = 0; shift < 8; shift += bits, x += rows * FOUR) {
      const vi even = (all >> shift) & mask, odd = (all >> (shift + 8)) & mask;
      UNROLL
      for (uint32_t r = 0; r < rows; r++) {
        sums[r] = add_pairs(add_pairs(sums[r], even, x[r * FOUR]), odd, x[r * FOUR + 1]);
        SETTLE(sums[r]);
      }
    }
  }
}
#elif VW >= 8
#if VW == 16
#define VECTOR_OF(op) _mm512_##op
typedef __m512i vm;
#else
#define VECTOR_OF(op) _mm256_##op
typedef __m256i vm;
#endif

/*
 * Pairs of bytes are multiplied and added in 16 bits, exact for codes of 4 bits: of 8-bit codes low and high halves go
 * apart. Eight such sums fit: 8 · 2 · 15 · 127 < 2¹⁵.
 */
INLINE void pair_chunk(const uint32_t rows, const uint32_t bits, const char *codes, const int32_t *x, vi *sums) {
  vm low_sums[QUANT_ROWS] = {0}, high_sums[QUANT_ROWS] = {0};
  UNROLL
  for (uint32_t line = 0; line < bits; line++, x += bits == 4 ? 2 * rows : rows) {
    const vi all = load_codes(codes + line * LINE), low = all & 0x0f0f0f0f, high = (all >> 4) & 0x0f0f0f0f;
    const int32_t *next = bits == 4 ? x + rows : x;
    UNROLL
    for (uint32_t r = 0; r < rows; r++) {
      vm *other = bits == 4 ? &low_sums[r] : &high_sums[r];
      low_sums[r] = VECTOR_OF(add_epi16)(low_sums[r], VECTOR_OF(maddubs_epi16)((vm)low, (vm)splat_four(x[r])));
      *other = VECTOR_OF(add_epi16)(*other, VECTOR_OF(maddubs_epi16)((vm)high, (vm)splat_four(next[r])));
      /* Sums made in another order would not all fit the registers. */
      SETTLE(low_sums[r]);
      if (bits == 8) SETTLE(high_sums[r]);
    }
  }
  UNROLL
  for (uint32_t r = 0; r < rows; r++) {
    sums[r] += (vi)VECTOR_OF(madd_epi16)(low_sums[r], VECTOR_OF(set1_epi16)(1));
    if (bits == 8) sums[r] += (vi)VECTOR_OF(madd_epi16)(high_sums[r], VECTOR_OF(set1_epi16)(16));
  }
}
#else
#define pair_chunk dot_chunk
#endif

/* c[rows, PANEL], rows `pitch` floats apart = rows · panel; with `dots`, by dot_chunk. */
INLINE void panel_product(const uint32_t rows, const uint32_t bits, const int dots, const char *panel, uint32_t blocks,
                          uint32_t group, const Rounded *a, float *c, size_t pitch) {
  enum { AHEAD = 2048 }; /* as prefetch() has it */
  const int32_t *x = a->codes;
  const float *factors = a->factors;
  vf acc[QUANT_ROWS][NV] = {0};
  for (uint32_t i = 0; i < blocks; i++, factors += 2 * rows) {
    const char *const codes = panel + 2 * HALVES, *const end = codes + group * bits * (PANEL / 8);
    __builtin_prefetch(panel + AHEAD, 0, 2);
    UNROLL
    for (uint32_t v = 0; v < NV; v++) {
      const int32_t *terms = x;
      vi sums[QUANT_ROWS] = {0};
      for (const char *at = codes; at < end; at += bits * LINE, terms += CHUNK / 4 * FOUR * rows) {
        if (v == 0)
          UNROLL
          for (uint32_t line = 0; line < bits; line++) __builtin_prefetch(at + line * LINE + AHEAD, 0, 2);
        if (dots) dot_chunk(rows, bits, at + v * 4 * VW, terms, sums);
        else pair_chunk(rows, bits, at + v * 4 * VW, terms, sums);
      }
      const vf scale = load_weights(panel, v * VW, F16), minimum = load_weights(panel + HALVES, v * VW, F16);
      UNROLL
      for (uint32_t r = 0; r < rows; r++) {
        acc[r][v] = multiply_add(__builtin_convertvector(sums[r], vf), splat(factors[r]) * scale, acc[r][v]);
        acc[r][v] = multiply_add(splat(factors[rows + r]), minimum, acc[r][v]);
      }
    }
    x += group / 4 * FOUR * rows;
    panel = end;
  }
  UNROLL
  for (uint32_t r = 0; r < rows; r++)
    UNROLL
    for (uint32_t v = 0; v < NV; v++) store(c + r * pitch + v * VW, acc[r][v]);
}

#define ROWS_CASE(n) \
  case n: panel_product(n, bits, dots, panel, blocks, group, a, c, pitch); break;

INLINE void panel_cases(uint32_t rows, const uint32_t bits, const int dots, const char *panel, uint32_t blocks,
                        uint32_t group, const Rounded *a, float *c, size_t pitch) {
  switch (rows) {
    ROWS_CASE(1) ROWS_CASE(2) ROWS_CASE(3) ROWS_CASE(4)
#if VW == 16
    ROWS_CASE(5) ROWS_CASE(6) ROWS_CASE(7) ROWS_CASE(8)
#endif
  }
}

/* 1 ≤ rows ≤ QUANT_ROWS rounded rows times one panel of a matrix [inner, ..]. */
static void quant_panel(uint32_t rows, Grouping g, const char *panel, uint32_t inner, const Rounded *a, float *c,
                        size_t pitch) {
  const uint32_t blocks = ceil_div(inner, g.group);
  if (HAS_DOT && g.bits == 8) panel_cases(rows, 8, 1, panel, blocks, g.group, a, c, pitch);
  else if (HAS_DOT) panel_cases(rows, 4, 1, panel, blocks, g.group, a, c, pitch);
  else if (g.bits == 8) panel_cases(rows, 8, 0, panel, blocks, g.group, a, c, pitch);
  else panel_cases(rows, 4, 0, panel, blocks, g.group, a, c, pitch);
}

#endif
