/* The small products of attention in f32: blocks of SIDE queries and SIDE keys, A packed, B as it lies in memory. */
#ifndef ATTENTION_F32_H
#define ATTENTION_F32_H
#include "attention_row.h"
#include "micro.h"

typedef float Packed;

/* Queries of one block. */
enum { RUN = SIDE };

/* Floats that SIDE packed rows take, and what multiply_rows needs beside them. */
static inline uint32_t packed_floats(uint32_t size) { return SIDE * size; }
static inline uint32_t panel_floats(uint32_t size) { return 2 * size * PANEL; }

/* `rows` rows of x times scale → packed. */
static void pack_scaled(Rows x, uint32_t rows, uint32_t size, float scale, Packed *packed) {
  pack_rows(x.x, x.stride, 0, rows, size, 0, size, packed);
  for (uint32_t i = 0; i < rows * size && scale != 1; i++) packed[i] *= scale;
}

/* A micro-kernel whose A is row-major with SIDE columns: the softmax weights. */
static void micro_weights(uint32_t mr, uint32_t pairs, uint32_t inner, const float *a, const Panels *b, float *c,
                          size_t ldc) {
  micro_rows(mr, pairs, SIDE, 0, inner, a, b, c, ldc);
}

/*
 * to[rows, SIDE] = packed · xᵀ for n ≤ SIDE rows of x; 0 beyond. `diagonal`: of row r only the columns
 * up to r (1) or from r on (−1) are wanted, and others may be left 0; 0: all are.
 */
static void multiply_rows(const Packed *packed, uint32_t rows, Rows x, uint32_t n, uint32_t size, int diagonal,
                          float *panel, float *to) {
  const uint32_t heights = ceil_div(rows, MR), columns = ceil_div(n, PANEL);
  memset(to, 0, 4ull * rows * SIDE);
  for (uint32_t c = 0; c < columns; c += PAIR) {
    const uint32_t pairs = min_u32(PAIR, columns - c);
    for (uint32_t j = 0; j < pairs; j++)
      transpose_panel(panel + j * size * PANEL, x.x, (c + j) * PANEL * x.stride, x.stride, min_u32(PANEL, n - (c + j) * PANEL),
                      size, F32);
    const Panels b = {.panel = {panel, panel + size * PANEL}, .stride = PANEL};
    for (uint32_t i = 0; i < heights; i++) {
      const uint32_t row = panel_row(rows, heights, i), end = panel_row(rows, heights, i + 1);
      if ((diagonal > 0 && c * PANEL >= end) || (diagonal < 0 && (c + pairs) * PANEL <= row)) continue;
      micro_packed(end - row, pairs, size, packed + row * size, &b, to + row * SIDE + c * PANEL, SIDE);
    }
  }
}

/* sums[rows, padded(size)] += weights[rows, SIDE] · n rows of x; `diagonal` as above. */
static void add_rows(const float *weights, uint32_t rows, Rows x, uint32_t n, uint32_t size, int diagonal, float *sums) {
  const uint32_t heights = ceil_div(rows, MR), width = padded(size);
  for (uint32_t d = 0; d < width; d += PAIR * PANEL) {
    const uint32_t pairs = min_u32(PAIR, (width - d) / PANEL);
    for (uint32_t i = 0; i < heights; i++) {
      const uint32_t row = panel_row(rows, heights, i), end = panel_row(rows, heights, i + 1);
      const uint32_t k0 = diagonal < 0 ? min_u32(row, n) : 0, k1 = diagonal > 0 ? min_u32(end, n) : n;
      const float *first = rows_from(x, k0).x + d;
      const Panels b = {.panel = {first, first + PANEL}, .stride = x.stride};
      micro_weights(end - row, pairs, k1 - k0, weights + row * SIDE + k0, &b, sums + row * width + d, width);
    }
  }
}

/* One row's scores of a block of keys → weights; earlier sums shrink when the maximum grows. */
static void soften(float *scores, uint32_t seen, Partial *part, float *values, uint32_t size) {
  const uint32_t n = min_u32(KEYS, seen);
  for (uint32_t i = n; i < KEYS; i++) scores[i] = -INFINITY;
  vf highest = splat(part->max);
  for (uint32_t i = 0; i < KEYS; i += VW) highest = vmax(highest, load(scores + i));
  const float max = maximum(highest);
  if (max != part->max) {
    const float keep = expf(part->max - max);
    for (uint32_t d = 0; d < padded(size); d += VW) store(values + d, load(values + d) * keep);
    part->total *= keep;
    part->max = max;
  }
  part->total += exponentials(scores, n, max);
}

/* Floats of working memory. */
static inline uint64_t block_floats(uint32_t size) {
  return SIDE * (padded(size) + SIDE + 2) + packed_floats(size) + panel_floats(size) + unpacked_floats(SIDE, size);
}

/*
 * y = attention of `rows` ≤ RUN rows of one sequence and head over k and v. pos: ascending, below the length of the cache;
 * y: rows `width` apart.
 */
static void attend_block(Rows q, Rows k, Rows v, const uint32_t *pos, uint32_t rows, uint32_t size, float scale, float *y,
                         size_t width, float *memory) {
  float *scores = memory, *values = scores + SIDE * SIDE, *panel = values + SIDE * padded(size);
  Packed *packed = (Packed *)(panel + panel_floats(size));
  Partial *part = (Partial *)(panel + panel_floats(size) + packed_floats(size));
  float *some = (float *)(part + SIDE);
  const uint32_t length = pos[rows - 1] + 1;
  ask_rows(q, rows, size);
  pack_scaled(q, rows, size, scale, packed);
  memset(values, 0, 4ull * rows * padded(size));
  for (uint32_t r = 0; r < rows; r++) part[r] = (Partial){-INFINITY, 0};
  for (uint32_t from = 0; from < length; from += SIDE) {
    const uint32_t n = min_u32(SIDE, length - from);
    multiply_rows(packed, rows, unpacked(rows_from(k, from), n, size, some), n, size, 0, panel, scores);
    for (uint32_t r = 0; r < rows; r++)
      soften(scores + r * SIDE, pos[r] + 1 > from ? pos[r] + 1 - from : 0, part + r, values + r * padded(size), size);
    add_rows(scores, rows, unpacked(rows_from(v, from), n, size, some), n, size, 0, values);
  }
  for (uint32_t r = 0; r < rows; r++)
    for (uint32_t d = 0; d < size; d += VW)
      store_up_to(y + r * width + d, load(values + r * padded(size) + d) / part[r].total, size - d);
}

#endif
