/* The processor's matrix unit (AMX): C[16, 16] += A[16, 32] · B[32, 16] with operands in bf16, sums in f32. */
#ifndef TILE_H
#define TILE_H
#include "vector.h"

/*
 * A packed tile of an operand: LINES lines, rows of A or columns of B, of TERMS terms each. Of A line after line; of B
 * pair of terms after pair: what was pairs[line][16] is [16][line].
 */
enum { LINES = 16, TERMS = 32, TILE = LINES * TERMS };

/* LINES lines as they lie in memory: one after the other, each from line[l] on; or side by side from line[0] on. */
typedef struct {
  const void *data;
  size_t line[LINES];
  size_t step;    /* elements from 16 terms to the next 16; side by side: from a term to the next */
  uint32_t live;  /* lines that there are; the others are 0 */
  uint32_t terms; /* terms that there are */
} Lines;

/* n of VW elements from `at` on, 0 beyond; what is beyond is not read. */
INLINE vf load_live(const void *p, size_t at, uint32_t n, const uint32_t type) {
  const __mmask16 mask = n >= VW ? 0xffff : (1u << n) - 1;
  if (type == F32) return _mm512_maskz_loadu_ps(mask, (const float *)p + at);
  const __m256i half = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)p + at);
  if (type == F16) return _mm512_cvtph_ps(half);
  return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

/* 32 values in order, to the nearest bf16, ties to even. */
INLINE __m512i round_values(vf low, vf high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }

/* The same, pair by pair: even[i], odd[i]. */
INLINE __m512i round_pairs(vf even, vf odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, round_values(even, odd));
}

/* Transposes 16 × 16 pairs. */
INLINE void turn_pairs(__m512i r[LINES]) {
  __m512i t[LINES];
  UNROLL
  for (int i = 0; i < LINES; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  UNROLL
  for (int i = 0; i < LINES; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  /* r[4 q + j]: in its quarter i, column 4 i + j of lines 4 q to 4 q + 3. */
  UNROLL
  for (int j = 0; j < 4; j++) {
    t[j] = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
    t[8 + j] = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
  }
  UNROLL
  for (int j = 0; j < 4; j++) {
    r[j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0x88);
    r[4 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0x88);
    r[8 + j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0xdd);
    r[12 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0xdd);
  }
}

/* Asks for terms [k, k + TERMS) of lines, as far as there are any. */
INLINE void ask_tile(const Lines *from, uint32_t k, const int side, const uint32_t type) {
  const size_t size = type == F32 ? 4 : 2;
  if (k >= from->terms) return;
  const char *first = (const char *)from->data + (side ? from->line[0] + k * from->step : k / VW * from->step) * size;
  if (side)
    for (uint32_t i = 0; i < TERMS; i++) __builtin_prefetch(first + i * from->step * size, 0, 2);
  else
    for (uint32_t i = 0; i < from->live; i++) {
      __builtin_prefetch(first + from->line[i] * size, 0, 2);
      __builtin_prefetch(first + (from->line[i] + from->step) * size, 0, 2);
    }
}

/* Terms [k, k + TERMS) of lines, side by side or not → a tile of A or B. If given, and side by side: sums[LINES] += them. */
INLINE void pack_tile(const Lines *from, uint32_t k, const int side, const int of_b, uint16_t *tile, vf *sums,
                      const uint32_t type) {
  __m512i r[LINES];
  const uint32_t n = from->terms - k;
  if (side) {
    UNROLL
    for (uint32_t i = 0; i < LINES; i++) {
      const size_t at = from->line[0] + (k + 2 * i) * from->step;
      const vf even = load_live(from->data, at, 2 * i < n ? from->live : 0, type);
      const vf odd = load_live(from->data, at + from->step, 2 * i + 1 < n ? from->live : 0, type);
      if (sums) *sums += even + odd;
      r[i] = round_pairs(even, odd);
    }
  } else {
    const size_t at = k / VW * from->step;
    UNROLL
    for (uint32_t i = 0; i < LINES; i++) {
      const uint32_t live = i < from->live ? n : 0;
      const vf low = load_live(from->data, from->line[i] + at, live, type);
      const vf high = load_live(from->data, from->line[i] + at + from->step, live > VW ? live - VW : 0, type);
      r[i] = round_values(low, high);
    }
  }
  if (side != of_b) turn_pairs(r);
  UNROLL
  for (uint32_t i = 0; i < LINES; i++) _mm512_store_si512(tile + i * TERMS, r[i]);
}

/* Tiles come as they are, 16 rows of 64 bytes; between these two calls this thread may multiply. */
static void tiles_begin(void) {
  static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } whole = {.palette = 1,
             .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
             .rows = {LINES, LINES, LINES, LINES, LINES, LINES, LINES, LINES}};
  _tile_loadconfig(&whole);
}
static void tiles_end(void) { _tile_release(); }

/*
 * C[16 · high, 16 · wide] = or += A · B for one or two lines of tiles each, n tiles long, `a_step` and `b_step` apart.
 * Rows of C are `pitch` floats apart.
 */
INLINE void multiply_pairs(const int high, const int wide, const uint16_t *a, size_t a_step, const uint16_t *b,
                           size_t b_step, uint32_t n, float *c, size_t pitch, int add) {
  float *const below = c + LINES * pitch;
  const size_t bytes = 4 * pitch;
  if (add) {
    _tile_loadd(0, c, bytes);
    if (wide == 2) _tile_loadd(1, c + LINES, bytes);
    if (high == 2) _tile_loadd(2, below, bytes);
    if (high == 2 && wide == 2) _tile_loadd(3, below + LINES, bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (uint32_t k = 0; k < n; k++, a += TILE, b += TILE) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (wide == 2) {
      _tile_loadd(7, b + b_step, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (high == 2) {
      _tile_loadd(5, a + a_step, 64);
      _tile_dpbf16ps(2, 5, 6);
      if (wide == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, bytes);
  if (wide == 2) _tile_stored(1, c + LINES, bytes);
  if (high == 2) _tile_stored(2, below, bytes);
  if (high == 2 && wide == 2) _tile_stored(3, below + LINES, bytes);
}

static void multiply_tiles(int high, int wide, const uint16_t *a, size_t a_step, const uint16_t *b, size_t b_step,
                           uint32_t n, float *c, size_t pitch, int add) {
  if (high == 2 && wide == 2) multiply_pairs(2, 2, a, a_step, b, b_step, n, c, pitch, add);
  else if (high == 2) multiply_pairs(2, 1, a, a_step, b, b_step, n, c, pitch, add);
  else if (wide == 2) multiply_pairs(1, 2, a, a_step, b, b_step, n, c, pitch, add);
  else multiply_pairs(1, 1, a, a_step, b, b_step, n, c, pitch, add);
}

#endif
