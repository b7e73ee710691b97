/* A block of rows' attention over all keys before them, as products of small matrices: what prefill runs. */
#ifndef ATTENTION_BLOCK_H
#define ATTENTION_BLOCK_H
#include "attention_row.h"

/* Rows of one block. */
enum { QUERIES = 64 };

/* A micro-kernel whose A is row-major with KEYS columns: the softmax weights. */
static void micro_weights(uint32_t mr, uint32_t pairs, uint32_t inner, const float *a, const Panels *b, float *c,
                          size_t ldc) {
  micro_rows(mr, pairs, KEYS, 0, inner, a, b, c, ldc);
}

/* Floats of working memory. */
static inline uint64_t block_floats(uint32_t size) {
  return (uint64_t)QUERIES * (size + padded(size) + KEYS + 2) + 2ull * size * PANEL;
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

/*
 * y = attention of `rows` ≤ QUERIES rows of one sequence and head. q: rows `stride` apart; k, v: [.., size];
 * pos: ascending, below the length of the cache; y: rows `width` apart.
 */
static void attend_block(const float *q, size_t stride, const float *k, const float *v, const uint32_t *pos,
                         uint32_t rows, uint32_t size, float scale, float *y, size_t width, float *memory) {
  float *packed = memory, *values = packed + QUERIES * size, *scores = values + QUERIES * padded(size);
  Partial *part = (Partial *)(scores + QUERIES * KEYS);
  float *panel = (float *)(part + QUERIES);
  const uint32_t panels = ceil_div(rows, MR), length = pos[rows - 1] + 1;
  pack_rows(q, stride, 0, rows, size, 0, size, packed);
  for (uint32_t i = 0; i < rows * size; i++) packed[i] *= scale;
  memset(values, 0, 4ull * rows * padded(size));
  for (uint32_t r = 0; r < rows; r++) part[r] = (Partial){-INFINITY, 0};
  for (uint32_t from = 0; from < length; from += KEYS) {
    const uint32_t n = min_u32(KEYS, length - from), columns = ceil_div(n, PANEL);
    memset(scores, 0, 4ull * rows * KEYS);
    for (uint32_t c = 0; c < columns; c += PAIR) {
      const uint32_t pairs = min_u32(PAIR, columns - c);
      for (uint32_t j = 0; j < pairs; j++)
        transpose_panel(panel + j * size * PANEL, k, (size_t)(from + (c + j) * PANEL) * size, size,
                        min_u32(PANEL, n - (c + j) * PANEL), size, F32);
      const Panels b = {.panel = {panel, panel + size * PANEL}, .stride = PANEL};
      for (uint32_t i = 0; i < panels; i++) {
        const uint32_t row = panel_row(rows, panels, i), mr = panel_row(rows, panels, i + 1) - row;
        micro_packed(mr, pairs, size, packed + row * size, &b, scores + row * KEYS + c * PANEL, KEYS);
      }
    }
    for (uint32_t r = 0; r < rows; r++)
      soften(scores + r * KEYS, pos[r] + 1 > from ? pos[r] + 1 - from : 0, part + r, values + r * padded(size), size);
    for (uint32_t d = 0; d < padded(size); d += PAIR * PANEL) {
      const uint32_t pairs = min_u32(PAIR, (padded(size) - d) / PANEL);
      const float *first = v + (size_t)from * size + d;
      const Panels b = {.panel = {first, first + PANEL}, .stride = size};
      for (uint32_t i = 0; i < panels; i++) {
        const uint32_t row = panel_row(rows, panels, i), mr = panel_row(rows, panels, i + 1) - row;
        micro_weights(mr, pairs, n, scores + row * KEYS, &b, values + row * padded(size) + d, padded(size));
      }
    }
  }
  for (uint32_t r = 0; r < rows; r++)
    for (uint32_t d = 0; d < size; d++) y[r * width + d] = values[r * padded(size) + d] / part[r].total;
}

#endif
