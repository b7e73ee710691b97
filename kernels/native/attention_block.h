/* A block of rows' attention over all keys before them, as products of small matrices: what prefill and training run. */
#ifndef ATTENTION_BLOCK_H
#define ATTENTION_BLOCK_H
#include "attention_row.h"

/* Rows of one block of keys. */
enum { SIDE = KEYS };

/* Asks for rows of x. */
static void ask_rows(Rows r, uint32_t rows, uint32_t size) {
  for (uint32_t i = 0; i < rows; i++) ask(r.x + i * r.stride, r.bits ? r.stride : size);
}

/* to[size] = from · scale. */
static void scale_row(float *to, const float *from, uint32_t size, float scale) {
  for (uint32_t d = 0; d < size; d += VW) store_up_to(to + d, load(from + d) * scale, size - d);
}

#ifdef TILES
#include "attention_bf16.h"
#else
#include "attention_f32.h"
#endif

/* Rows of a tile where `heads` of them have `rows` to share out: fewer than RUN if threads would be idle. */
static inline uint32_t run_rows(uint32_t rows, uint32_t heads, uint32_t threads) {
  uint32_t run = RUN;
  while (run > SIDE && heads * ceil_div(rows, run) < 4 * threads) run /= 2;
  return run;
}

#endif
