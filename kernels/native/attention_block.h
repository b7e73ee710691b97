/* A block of rows' attention over all keys before them, as products of small matrices: what prefill runs. */
#ifndef ATTENTION_BLOCK_H
#define ATTENTION_BLOCK_H
#include "attention_row.h"

/* Rows of one block, of queries and of keys: the row length of the block's scores. */
enum { SIDE = KEYS };

#ifdef TILES
#include "attention_bf16.h"
#else
#include "attention_f32.h"
#endif

/* Floats of working memory. */
static inline uint64_t block_floats(uint32_t size) {
  return SIDE * (padded(size) + SIDE + 2) + packed_floats(size) + panel_floats(size);
}

/* Asks for rows of x, `stride` apart. */
static void ask_rows(const float *x, size_t stride, uint32_t rows, uint32_t size) {
  for (uint32_t r = 0; r < rows; r++) ask(x + r * stride, size);
}

/* to[size] = from · scale. */
static void scale_row(float *to, const float *from, uint32_t size, float scale) {
  for (uint32_t d = 0; d < size; d += VW) store_up_to(to + d, load(from + d) * scale, size - d);
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
 * y = attention of `rows` ≤ SIDE rows of one sequence and head. q: rows `stride` apart; k, v: [.., size];
 * pos: ascending, below the length of the cache; y: rows `width` apart.
 */
static void attend_block(const float *q, size_t stride, const float *k, const float *v, const uint32_t *pos,
                         uint32_t rows, uint32_t size, float scale, float *y, size_t width, float *memory) {
  float *scores = memory, *values = scores + SIDE * SIDE, *panel = values + SIDE * padded(size);
  Packed *packed = (Packed *)(panel + panel_floats(size));
  Partial *part = (Partial *)(panel + panel_floats(size) + packed_floats(size));
  const uint32_t length = pos[rows - 1] + 1;
  ask_rows(q, stride, rows, size);
  pack_scaled(q, stride, rows, size, scale, packed);
  memset(values, 0, 4ull * rows * padded(size));
  for (uint32_t r = 0; r < rows; r++) part[r] = (Partial){-INFINITY, 0};
  for (uint32_t from = 0; from < length; from += SIDE) {
    const uint32_t n = min_u32(SIDE, length - from);
    multiply_rows(packed, rows, k + (size_t)from * size, size, n, size, 0, panel, scores);
    for (uint32_t r = 0; r < rows; r++)
      soften(scores + r * SIDE, pos[r] + 1 > from ? pos[r] + 1 - from : 0, part + r, values + r * padded(size), size);
    add_rows(scores, rows, v + (size_t)from * size, size, n, size, 0, values);
  }
  for (uint32_t r = 0; r < rows; r++)
    for (uint32_t d = 0; d < size; d += VW)
      store_up_to(y + r * width + d, load(values + r * padded(size) + d) / part[r].total, size - d);
}

#endif
