/* Products of rounded rows with one panel of a quantized matrix: integers within a group, floats from group to group. */
#ifndef QUANT_DOT_H
#define QUANT_DOT_H
#include "quant.h"

typedef int32_t vi_unaligned __attribute__((vector_size(4 * VW), aligned(4), may_alias));

INLINE vi load_codes(const char *p) { return *(const vi_unaligned *)p; }
INLINE vi splat_four(int32_t x) { return x - (vi){0}; }

/* Lines of the smallest group: 32 inputs of 4 bits; panels that a lone row is multiplied with at a time. */
enum { LEAST_LINES = 4, MOST_PANELS = 2 };

#if VW == 16 || defined(__ARM_FEATURE_DOTPROD)
/* sum + four codes of each lane times four bytes of activations. */
INLINE vi add_dot(vi sum, vi codes, const int32_t *x) {
#if VW == 16
  __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(*x));
  return sum;
#else
  return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)codes, (int8x16_t)splat_four(*x));
#endif
}

/*
 * A group of one vector of columns times rows of bytes: high and low bytes of activations apart. Lone rows have two sums for
 * each, since one would wait for itself. ARM multiplies signed bytes only: there codes of 8 bits are 128 less.
 */
INLINE void dot_group(const uint32_t rows, const uint32_t bits, const char *codes, uint32_t count, const int32_t *x,
                      vi *sums) {
  enum { CHAINS = 2 };
  const uint32_t last = rows == 1 ? CHAINS - 1 : 0;
  vi high[CHAINS][QUANT_ROWS] = {0}, low[CHAINS][QUANT_ROWS] = {0};
  for (uint32_t from = 0; from < count; from += LEAST_LINES) {
    UNROLL
    for (uint32_t line = 0; line < LEAST_LINES; line++, codes += LINE) {
      const vi all = load_codes(codes);
      UNROLL
      for (uint32_t shift = 0; shift < 8; shift += bits) {
        const vi some = bits == 4 ? (all >> shift) & 0x0f0f0f0f : VW == 16 ? all : all ^ (int32_t)0x80808080;
        const uint32_t chain = (bits == 4 ? shift / 4 : line & 1) * last;
        UNROLL
        for (uint32_t r = 0; r < rows; r++, x += FOUR) {
          high[chain][r] = add_dot(high[chain][r], some, x);
          low[chain][r] = add_dot(low[chain][r], some, x + 1);
        }
      }
    }
  }
  if (last) {
    high[0][0] += high[last][0];
    low[0][0] += low[last][0];
  }
  UNROLL
  for (uint32_t r = 0; r < rows; r++) sums[r] = (high[0][r] << 8) + low[0][r];
}
#else
#define dot_group pair_group
#endif

#if VW == 16 || !defined(__ARM_FEATURE_DOTPROD)
/* sum + the pairs of codes, 16 bits each, of each lane times a pair of activations. */
INLINE vi add_pairs(vi sum, vi codes, int32_t x) {
#if VW == 16
  return sum + (vi)_mm512_madd_epi16((__m512i)codes, (__m512i)splat_four(x));
#elif VW == 8
  return sum + (vi)_mm256_madd_epi16((__m256i)codes, (__m256i)splat_four(x));
#elif defined(__SSE2__)
  return sum + (vi)_mm_madd_epi16((__m128i)codes, (__m128i)splat_four(x));
#else
  return sum + (codes & 0xffff) * (int16_t)x + (codes >> 16) * (x >> 16);
#endif
}

/* A group of one vector of columns times rows of pairs. 128 · 255 · MOST_CODE fits 32 bits. */
INLINE void pair_group(const uint32_t rows, const uint32_t bits, const char *codes, uint32_t count, const int32_t *x,
                       vi *sums) {
  const int32_t mask = bits == 4 ? 0x000f000f : 0x00ff00ff;
  UNROLL
  for (uint32_t r = 0; r < rows; r++) sums[r] = (vi){0};
  for (uint32_t line = 0; line < count; line++, codes += LINE) {
    const vi all = load_codes(codes);
    UNROLL
    for (uint32_t shift = 0; shift < 8; shift += bits, x += rows * FOUR) {
      const vi even = (all >> shift) & mask, odd = (all >> (shift + 8)) & mask;
      UNROLL
      for (uint32_t r = 0; r < rows; r++) {
        sums[r] = add_pairs(add_pairs(sums[r], even, x[r * FOUR]), odd, x[r * FOUR + 1]);
        /* Sums made in another order would not all fit the registers. */
        SETTLE(sums[r]);
      }
    }
  }
}
#else
#define pair_group dot_group
#endif

/* What a code of 0, or what stands for one, means. */
INLINE vf least(const char *panel, uint32_t v, vf scale, const uint32_t bits, const int dots) {
  const vf minimum = load_weights(panel + HALVES, v * VW, F16);
  return dots && bits == 8 && VW < 16 ? minimum + 128.0f * scale : minimum;
}

/*
 * c[rows, panels · PANEL], rows `pitch` floats apart = rows · panels, `next` bytes apart; with `dots`, by dot_group. Memory
 * gives a lone row two panels at once faster than one after the other: 23.6–25.3 → 25.2–26.2 tokens per second, LOLA v1, q4.
 * After the end of a panel is asked for what follows all of them, since those between are being read.
 */
INLINE void panel_product(const uint32_t rows, const uint32_t panels, const uint32_t bits, const int dots,
                          const char *panel, size_t next, uint32_t blocks, uint32_t group, const Rounded *a, float *c,
                          size_t pitch) {
  enum { AHEAD = 4096 }; /* asked for, as prefetch() has it */
  const uint32_t count = group * bits / 32;
  const size_t size = 2 * HALVES + count * LINE;
  const int32_t *x = a->codes;
  const float *factors = a->factors;
  vf acc[MOST_PANELS][QUANT_ROWS][NV] = {0};
  for (uint32_t i = 0; i < blocks; i++, factors += 2 * rows, panel += size) {
    const size_t ahead = AHEAD + ((blocks - i) * size > AHEAD ? 0 : (panels - 1) * next);
    UNROLL
    for (uint32_t p = 0; p < panels; p++) {
      const char *const block = panel + p * next, *const codes = block + 2 * HALVES;
      for (uint32_t line = 0; line <= count; line++) __builtin_prefetch(block + line * LINE + ahead, 0, 2);
      UNROLL
      for (uint32_t v = 0; v < NV; v++) {
        vi sums[QUANT_ROWS];
        if (dots) dot_group(rows, bits, codes + v * 4 * VW, count, x, sums);
        else pair_group(rows, bits, codes + v * 4 * VW, count, x, sums);
        const vf scale = load_weights(block, v * VW, F16), minimum = least(block, v, scale, bits, dots);
        UNROLL
        for (uint32_t r = 0; r < rows; r++) {
          acc[p][r][v] = multiply_add(__builtin_convertvector(sums[r], vf), splat(factors[r]) * scale, acc[p][r][v]);
          acc[p][r][v] = multiply_add(splat(factors[rows + r]), minimum, acc[p][r][v]);
        }
      }
    }
    x += group / 4 * FOUR * rows;
  }
  UNROLL
  for (uint32_t p = 0; p < panels; p++)
    UNROLL
    for (uint32_t r = 0; r < rows; r++)
      UNROLL
      for (uint32_t v = 0; v < NV; v++) store(c + r * pitch + p * PANEL + v * VW, acc[p][r][v]);
}

#define ROWS_CASE(rows, panels) \
  case MOST_PANELS * rows + panels - 1: \
    panel_product(rows, panels, bits, dots, panel, next, blocks, group, a, c, pitch); \
    break;

INLINE void panel_cases(uint32_t rows, uint32_t panels, const uint32_t bits, const int dots, const char *panel,
                        size_t next, uint32_t blocks, uint32_t group, const Rounded *a, float *c, size_t pitch) {
  switch (MOST_PANELS * rows + panels - 1) {
    ROWS_CASE(1, 2) ROWS_CASE(1, 1) ROWS_CASE(2, 1) ROWS_CASE(3, 1)
#ifndef __AMX_INT8__
    ROWS_CASE(4, 1)
#endif
#if VW == 16 && !defined(__AMX_INT8__)
    ROWS_CASE(5, 1) ROWS_CASE(6, 1) ROWS_CASE(7, 1) ROWS_CASE(8, 1)
#endif
  }
}

/*
 * 1 ≤ rows ≤ QUANT_ROWS, rows < LEAST_TILED: rounded rows times panels of a matrix [inner, ..] → c, rows `pitch` floats
 * apart.
 */
static void quant_panels(uint32_t rows, Grouping g, const char *panel, uint32_t panels, uint32_t inner, const Rounded *a,
                         float *c, size_t pitch) {
  const uint32_t blocks = ceil_div(inner, g.group), most = rows == 1 ? MOST_PANELS : 1;
  const size_t next = quant_panel_bytes(g, inner);
  for (uint32_t p = 0, some; p < panels; p += some, panel += some * next, c += some * PANEL) {
    some = min_u32(most, panels - p);
    if (HAS_DOT && g.bits == 8) panel_cases(rows, some, 8, 1, panel, next, blocks, g.group, a, c, pitch);
    else if (HAS_DOT) panel_cases(rows, some, 4, 1, panel, next, blocks, g.group, a, c, pitch);
    else if (g.bits == 8) panel_cases(rows, some, 8, 0, panel, next, blocks, g.group, a, c, pitch);
    else panel_cases(rows, some, 4, 0, panel, next, blocks, g.group, a, c, pitch);
  }
}

#endif
