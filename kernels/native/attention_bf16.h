/* The small products of attention by tiles: blocks of SIDE queries and SIDE keys, rounded to bf16 while they are packed. */
#ifndef ATTENTION_BF16_H
#define ATTENTION_BF16_H
#include "attention_row.h"
#include "tile.h"

typedef uint16_t Packed;

/* Floats that SIDE packed rows take, and what multiply_rows needs beside them. */
static inline uint32_t packed_floats(uint32_t size) { return SIDE / LINES * ceil_div(size, TERMS) * TILE / 2; }
static inline uint32_t panel_floats(uint32_t size) { return packed_floats(size); }

/* `rows` rows of x, `stride` apart, times scale → packed, [strip][tile]. */
static void pack_scaled(const float *x, size_t stride, uint32_t rows, uint32_t size, float scale, Packed *packed) {
  for (uint32_t row = 0; row < rows; row += LINES)
    for (uint32_t k = 0; k < size; k += TERMS, packed += TILE) {
      float part[LINES][TERMS];
      Lines from = {.data = part, .step = VW, .live = min_u32(LINES, rows - row), .terms = min_u32(TERMS, size - k)};
      for (uint32_t i = 0; i < from.live; i++) {
        from.line[i] = i * TERMS;
        for (uint32_t j = 0; j < from.terms; j++) part[i][j] = x[(row + i) * stride + k + j] * scale;
      }
      pack_tile(&from, 0, 0, 0, packed, 0, F32);
    }
}

/*
 * to[rows, SIDE] = packed · xᵀ for n ≤ SIDE rows of x, `stride` apart; 0 beyond. `diagonal`: of row r only the columns
 * up to r (1) or from r on (−1) are wanted, and others may be left 0; 0: all are.
 */
static void multiply_rows(const Packed *packed, uint32_t rows, const float *x, size_t stride, uint32_t n, uint32_t size,
                          int diagonal, float *panel, float *to) {
  const uint32_t tiles = ceil_div(size, TERMS);
  const size_t line = (size_t)tiles * TILE;
  uint16_t *b = (uint16_t *)panel;
  if (diagonal || n < SIDE) memset(to, 0, 4ull * rows * SIDE);
  for (uint32_t c = 0; c < n; c += LINES) {
    Lines from = {.data = x, .step = VW, .live = min_u32(LINES, n - c), .terms = size};
    for (uint32_t i = 0; i < from.live; i++) from.line[i] = (c + i) * stride;
    for (uint32_t k = 0; k < tiles; k++) pack_tile(&from, k * TERMS, 0, 1, b + c / LINES * line + k * TILE, 0, F32);
  }
  tiles_begin();
  for (uint32_t row = 0; row < rows; row += 2 * LINES)
    for (uint32_t c = 0; c < n; c += 2 * LINES) {
      if ((diagonal > 0 && c > row) || (diagonal < 0 && c < row)) continue;
      const uint32_t high = ceil_div(min_u32(2 * LINES, rows - row), LINES);
      const uint32_t wide = ceil_div(min_u32(2 * LINES, n - c), LINES);
      multiply_tiles(high, wide, packed + row / LINES * line, line, b + c / LINES * line, line, tiles,
                     to + row * SIDE + c, SIDE, 0);
    }
  tiles_end();
}

/* sums[rows, padded(size)] += weights[rows, SIDE] · n rows of x, `stride` apart; `diagonal` as above. */
static void add_rows(const float *weights, uint32_t rows, const float *x, size_t stride, uint32_t n, uint32_t size,
                     int diagonal, float *sums) {
  enum { LINE = SIDE / TERMS * TILE };
  _Alignas(64) uint16_t a[SIDE / LINES * LINE], b[2 * LINE];
  const uint32_t width = padded(size), tiles = ceil_div(n, TERMS);
  for (uint32_t row = 0; row < rows; row += LINES) {
    Lines from = {.data = weights, .step = VW, .live = min_u32(LINES, rows - row), .terms = n};
    for (uint32_t i = 0; i < from.live; i++) from.line[i] = (row + i) * SIDE;
    for (uint32_t k = 0; k < tiles; k++) pack_tile(&from, k * TERMS, 0, 0, a + row / LINES * LINE + k * TILE, 0, F32);
  }
  tiles_begin();
  for (uint32_t d = 0; d < size; d += 2 * LINES) {
    const uint32_t wide = ceil_div(min_u32(2 * LINES, size - d), LINES);
    for (uint32_t j = 0; j < wide; j++) {
      const uint32_t at = d + j * LINES;
      const Lines from = {.data = x, .line = {at}, .step = stride, .live = min_u32(LINES, size - at), .terms = n};
      for (uint32_t k = 0; k < tiles; k++) pack_tile(&from, k * TERMS, 1, 1, b + j * LINE + k * TILE, 0, F32);
    }
    for (uint32_t row = 0; row < rows; row += 2 * LINES) {
      const uint32_t k0 = diagonal < 0 ? row / TERMS : 0, k1 = diagonal > 0 ? min_u32(tiles, row / TERMS + 1) : tiles;
      if (k0 < k1)
        multiply_tiles(ceil_div(min_u32(2 * LINES, rows - row), LINES), wide, a + row / LINES * LINE + k0 * TILE, LINE,
                       b + k0 * TILE, LINE, k1 - k0, sums + row * width + d, width, 1);
    }
  }
  tiles_end();
}

#endif
