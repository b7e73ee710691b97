/* Rows of a compact cache, as kernels/attention/compact.ts lays them out: 16 or 8 bits a channel. */
#ifndef COMPACT_H
#define COMPACT_H
#include "half.h"
#include "transpose.h"

/* Rows of floats and how far they are apart; `bits` of a channel if they are compact, `stride` in words then. */
typedef struct {
  const float *x;
  size_t stride;
  uint32_t bits;
} Rows;

static inline Rows rows_from(Rows r, uint32_t row) { return (Rows){r.x + row * r.stride, r.stride, r.bits}; }

/* Channels that share a scale. */
enum { SCALED = 32 };

static inline uint32_t compact_words(uint32_t bits, uint32_t size) {
  return bits == 16 ? 2 * ceil_div(size, 4) : ceil_div(size, 4) + ceil_div(size, 2 * SCALED);
}

/* VW numbers to f16, within its range; what is no finite number is none. */
INLINE void store_clamped(void *to, vf x) { store_halves(to, nearest_half(x) + x * 0.0f); }

/* x[size] → words, as packRow has it. What lies beyond the size is 0. */
static void pack_row(const float *x, uint32_t bits, uint32_t size, void *words) {
  memset(words, 0, 4ull * compact_words(bits, size));
  uint16_t *halves = words;
  for (uint32_t d = 0; bits == 16 && d < size; d += VW) {
    uint16_t some[VW];
    store_clamped(some, load_up_to(x + d, size - d));
    memcpy(halves + d, some, 2 * min_u32(VW, size - d));
  }
  if (bits == 16) return;
  const float shift = 12582912.0f; /* 1.5 · 2²³: adding it rounds to an integer in the low bits */
  int8_t *codes = words;
  uint16_t *scales = (uint16_t *)words + 2 * ceil_div(size, 4);
  for (uint32_t from = 0; from < size; from += SCALED) {
    const uint32_t end = min_u32(size, from + SCALED);
    vf most = {0}, none = {0};
    for (uint32_t d = from; d < end; d += VW) {
      const vf v = load_up_to(x + d, end - d);
      most = vmax(most, (vf)((vi)v & 0x7fffffff));
      none += v * 0.0f;
    }
    vf scale = nearest_half(splat(maximum(most) * (1.0f / 127))) + sum(none);
    uint16_t half[VW];
    store_halves(half, scale);
    scales[from / SCALED] = half[0];
    const vf inverse = (vf)((vi)(1.0f / scale) & (scale > 0));
    for (uint32_t d = from; d < end; d += VW) {
      vf code = load_up_to(x + d, end - d) * inverse;
      SETTLE(code);
      code = vmin(splat(127), vmax(splat(-127), code)) + shift;
      const vb_unaligned bytes = __builtin_convertvector(((vi)code << 24) >> 24, vb_unaligned);
      memcpy(codes + d, &bytes, min_u32(VW, end - d));
    }
  }
}

/* VW signed bytes, as floats. */
INLINE vf load_bytes(const int8_t *p) {
#if VW == 16
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
#elif VW == 8
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
#elif defined(__SSE2__)
  int32_t four;
  memcpy(&four, p, 4);
  const __m128i one = _mm_cvtsi32_si128(four), two = _mm_unpacklo_epi8(one, one);
  return (vf)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(two, two), 24));
#else
  return __builtin_convertvector(__builtin_convertvector(*(const vb_unaligned *)p, vi), vf);
#endif
}

/* Floats that unpacked rows take: the last may be written past its end. */
static inline uint64_t unpacked_floats(uint32_t rows, uint32_t size) { return (uint64_t)rows * size + PANEL; }

INLINE void unpack(Rows r, uint32_t rows, uint32_t size, float *to, const uint32_t bits) {
  for (uint32_t i = 0; i < rows; i++, to += size) {
    const float *row = r.x + i * r.stride;
    prefetch(row, 0, r.stride, F32);
    if (bits == 16) {
      for (uint32_t d = 0; d < size; d += VW) store(to + d, load_weights(row, d, F16));
      continue;
    }
    const uint16_t *halves = (const uint16_t *)(row + ceil_div(size, 4));
    float scales[VW];
    for (uint32_t from = 0; from < size; from += SCALED) {
      const uint32_t group = from / SCALED;
      if (group % VW == 0) store(scales, load_weights(halves, group, F16));
      const vf scale = splat(scales[group % VW]);
      UNROLL
      for (uint32_t d = from; d < from + SCALED; d += VW)
        if (d < size) store(to + d, load_bytes((const int8_t *)row + d) * scale);
    }
  }
}

/* The first `rows` of r in f32: as they are, or made at `to` if they are compact. */
static Rows unpacked(Rows r, uint32_t rows, uint32_t size, float *to) {
  if (!r.bits) return r;
  if (r.bits == 16) unpack(r, rows, size, to, 16);
  else unpack(r, rows, size, to, 8);
  return (Rows){to, size};
}

#endif
