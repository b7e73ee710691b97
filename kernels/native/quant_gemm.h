/* gemm.h's blocked product for quantized matrices: phase 0 rounds the rows, phase 1 multiplies tiles. */
#ifndef QUANT_GEMM_H
#define QUANT_GEMM_H
#include "gemm.h"
#include "quant_dot.h"

typedef struct {
  Gemm gemm; /* b: words of a matrix for each group of rows; nothing is transposed */
  Grouping grouping;
} QuantGemm;

/* Heights of QUANT_ROWS rows at most that one tile of phase 0 rounds. */
enum { ROUND_HEIGHTS = 4 };

static inline uint32_t heights_of(uint32_t rows) { return ceil_div(rows, QUANT_ROWS); }
static inline uint32_t rounding_parts(uint32_t rows) {
  return ceil_div(heights_of(min_u32(rows, ROW_BLOCK)), ROUND_HEIGHTS);
}

static inline Rounded rounded_of(const QuantGemm *q, const Worker *w, uint32_t row) {
  return rounded_at(w->shared + blocking_bytes(&q->gemm), q->grouping, q->gemm.rows, q->gemm.inner, row);
}

static void quant_gemm_plan(const QuantGemm *q, Plan *plan) {
  const Gemm *g = &q->gemm;
  plan->phases = 2;
  plan->shared = blocking_bytes(g) + code_bytes(q->grouping, g->rows, g->inner) +
                 factor_bytes(q->grouping, g->rows, g->inner);
  plan->each = 4ull * ROW_BLOCK * TILE_COLS;
}

static uint32_t quant_gemm_tiles(const QuantGemm *q, uint32_t phase, const Worker *w) {
  if (phase == 0) return gemm_blocks(&q->gemm, w)->blocks * rounding_parts(q->gemm.rows);
  const Blocking *blocking = (const Blocking *)w->shared;
  return blocking->blocks * ceil_div(ceil_div(q->gemm.cols, PANEL), blocking->panel_block);
}

/* Rounds heights [first, last) of a block of rows. */
static void round_block(const QuantGemm *q, const Block *block, uint32_t first, uint32_t last, const Worker *w) {
  const Gemm *g = &q->gemm;
  const uint32_t heights = heights_of(block->rows);
  for (uint32_t i = first; i < min_u32(heights, last); i++) {
    const uint32_t row = block->row + panel_row(block->rows, heights, i);
    const uint32_t rows = block->row + panel_row(block->rows, heights, i + 1) - row;
    const Rounded to = rounded_of(q, w, row);
    for (uint32_t r = 0; r < rows; r++) {
      const size_t from = g->gather ? g->gather[row + r] : row + r;
      round_row(g->x + from * g->inner, g->inner, q->grouping.group, r, rows, &to);
    }
  }
}

static void quant_gemm_tile(const Step *step, const QuantGemm *q, uint32_t phase, uint32_t tile, const Worker *w) {
  const Gemm *g = &q->gemm;
  const Blocking *blocking = (const Blocking *)w->shared;
  const Block block = blocks_of(w)[tile % blocking->blocks];
  const uint32_t part = tile / blocking->blocks;
  if (phase == 0) {
    round_block(q, &block, part * ROUND_HEIGHTS, (part + 1) * ROUND_HEIGHTS, w);
    return;
  }
  const uint32_t first = part * blocking->panel_block;
  const uint32_t last = min_u32(ceil_div(g->cols, PANEL), first + blocking->panel_block);
  const uint32_t col = first * PANEL, width = (last - first) * PANEL, heights = heights_of(block.rows);
  const size_t pitch = quant_panel_bytes(q->grouping, g->inner);
  const char *matrix = (const char *)g->b + block.group * quant_matrix_bytes(q->grouping, g->inner, g->cols);
  float *c = (float *)w->own;
  /* A panel stays in the caches over all rows of the block. */
  for (uint32_t p = first; p < last; p++)
    for (uint32_t i = 0; i < heights; i++) {
      const uint32_t row = panel_row(block.rows, heights, i), rows = panel_row(block.rows, heights, i + 1) - row;
      const Rounded a = rounded_of(q, w, block.row + row);
      quant_panel(rows, q->grouping, matrix + p * pitch, g->inner, &a, c + row * width + (p - first) * PANEL, width);
    }
  for (uint32_t r = 0; r < block.rows; r++)
    g->finish(step, block.group, block.row + r, col, min_u32(g->cols - col, width), c + r * width);
}

#endif
