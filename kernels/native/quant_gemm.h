/* gemm.h's blocked product for quantized matrices: phase 0 rounds the rows, phase 1 multiplies tiles. */
#ifndef QUANT_GEMM_H
#define QUANT_GEMM_H
#include "gemm.h"
#include "quant_dot.h"
#ifdef __AMX_INT8__
#include "quant_tile.h"
#endif

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
#ifdef __AMX_INT8__
  /* Tiles of fewer rows are read whole. */
  plan->shared += QUANT_ROWS * 64;
  plan->each += PANEL_BLOCK * SPAN_BYTES;
#endif
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

/* c[block's rows, panels [first, last)] = their product; `matrix`: the first panel. */
static void multiply_panels(const QuantGemm *q, const Block *block, const char *matrix, uint32_t panels, const Worker *w,
                            float *c) {
  const size_t pitch = quant_panel_bytes(q->grouping, q->gemm.inner);
  const uint32_t heights = heights_of(block->rows);
  const uint32_t most = block->rows == 1 ? MOST_PANELS : 1;
  /* A panel stays in the caches over all rows of the block. */
  for (uint32_t p = 0; p < panels; p += most)
    for (uint32_t i = 0; i < heights; i++) {
      const uint32_t row = panel_row(block->rows, heights, i), rows = panel_row(block->rows, heights, i + 1) - row;
      const Rounded a = rounded_of(q, w, block->row + row);
      float *to = c + (row * panels + p) * PANEL;
      quant_panels(rows, q->grouping, matrix + p * pitch, min_u32(most, panels - p), q->gemm.inner, &a, to, panels * PANEL);
    }
}

#ifdef __AMX_INT8__
/* The same by the matrix unit, span by span. `wide`: room for the panels' codes of a span. */
static void tile_panels(const QuantGemm *q, const Block *block, const char *matrix, uint32_t panels, const Worker *w,
                        float *c, char *wide) {
  const Grouping g = q->grouping;
  const size_t pitch = quant_panel_bytes(g, q->gemm.inner), bytes = block_bytes(g);
  const uint32_t heights = heights_of(block->rows), blocks = ceil_div(q->gemm.inner, g.group);
  const uint32_t span = CODE_SPAN / g.group;
  quant_tiles_begin(tile_terms(g.group));
  for (uint32_t from = 0; from < blocks; from += span)
    for (uint32_t i = 0; i < heights; i++) {
      const uint32_t row = panel_row(block->rows, heights, i), rows = panel_row(block->rows, heights, i + 1) - row;
      const Rounded a = rounded_of(q, w, block->row + row);
      Strip s = {.grouping = g, .blocks = min_u32(span, blocks - from), .rows = rows};
      s.a = (const int8_t *)a.codes + (size_t)from * g.group * rows * 2;
      s.factors = a.factors + (size_t)from * 2 * rows;
      for (uint32_t p = 0; p < panels; p++) {
        s.panel = matrix + p * pitch + from * bytes;
        s.codes = g.bits == 8 ? s.panel + 2 * HALVES : wide + p * SPAN_BYTES;
        s.step = g.bits == 8 ? bytes : g.group * PANEL;
        s.next = i ? 0 : p + 1 < panels ? s.panel + pitch : matrix + (from + span) * bytes;
        for (uint32_t b = 0; b < s.blocks && g.bits == 4 && i == 0; b++)
          widen_codes(s.panel + b * bytes + 2 * HALVES, g.group / 8, wide + p * SPAN_BYTES + b * s.step);
        strip_panel(&s, c + (row * panels + p) * PANEL, panels * PANEL, from > 0);
      }
    }
  quant_tiles_end();
}
#endif

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
  const uint32_t col = first * PANEL, width = (last - first) * PANEL;
  const char *matrix = (const char *)g->b + block.group * quant_matrix_bytes(q->grouping, g->inner, g->cols);
  const char *panels = matrix + first * quant_panel_bytes(q->grouping, g->inner);
  float *c = (float *)w->own;
#ifdef __AMX_INT8__
  if (block.rows >= LEAST_TILED) tile_panels(q, &block, panels, last - first, w, c, w->own + 4 * ROW_BLOCK * TILE_COLS);
  else
#endif
    multiply_panels(q, &block, panels, last - first, w, c);
  for (uint32_t r = 0; r < block.rows; r++)
    g->finish(step, block.group, block.row + r, col, min_u32(g->cols - col, width), c + r * width);
}

#endif
