/* quant/up_row_forward and quant/down_row_forward: moe_row.c with quantized matrices. */
#include "quant_dot.h"

typedef struct {
  RowParams row;
  Grouping grouping;
} QuantRowParams;

INLINE void quant_row_plan(const Step *step, Plan *plan, int w) {
  const QuantRowParams *p = (const QuantRowParams *)step->params;
  const Grouping g = p->grouping;
  plan->need[w] = p->row.count * quant_words(g, p->row.inner, p->row.cols);
  plan->phases = 2;
  plan->shared = code_bytes(g, p->row.rows, p->row.inner) + factor_bytes(g, p->row.rows, p->row.inner);
}

static void quant_up_row_plan(const Step *step, Plan *plan) {
  up_row_plan(step, plan);
  quant_row_plan(step, plan, UP_ROW_W);
}

static void quant_down_row_plan(const Step *step, Plan *plan) {
  down_row_plan(step, plan);
  quant_row_plan(step, plan, DOWN_ROW_W);
}

/* A row's expert among those of this part of w, or `count`. */
static inline uint32_t expert_here(const Step *step, uint32_t t) {
  const RowParams *p = (const RowParams *)step->params;
  const uint32_t expert = ((const uint32_t *)step->bind[UP_ROW_EXPERT].data)[p->at + t];
  return expert < p->first ? p->count : min_u32(expert - p->first, p->count);
}

static uint32_t quant_row_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  return phase == 0 ? ((const RowParams *)step->params)->rows : row_tiles(step, phase, worker);
}

/* `down` is a constant, as in moe_row.c. */
INLINE void quant_row_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker, const int down) {
  const QuantRowParams *all = (const QuantRowParams *)step->params;
  const RowParams *p = &all->row;
  const Grouping g = all->grouping;
  const uint32_t t = tile % p->rows, expert = expert_here(step, t);
  if (expert == p->count) return;
  const Rounded a = rounded_at(worker->shared, g, p->rows, p->inner, t);
  if (phase == 0) {
    round_row((const float *)step->bind[0].data + (size_t)t * p->inner, p->inner, g.group, 0, 1, &a);
    return;
  }
  const uint32_t run = gemv_panels(p->inner, p->cols, worker->threads), first = tile / p->rows * run;
  const uint32_t last = min_u32(ceil_div(p->cols, PANEL), first + run);
  const size_t pitch = quant_panel_bytes(g, p->inner);
  const char *matrix = (const char *)step->bind[down ? DOWN_ROW_W : UP_ROW_W].data;
  matrix += expert * quant_matrix_bytes(g, p->inner, p->cols);
  float *sums = (float *)worker->own;
  quant_panels(1, g, matrix + first * pitch, last - first, p->inner, &a, sums, 0);
  row_finish(step, t, p->first + expert, first * PANEL, min_u32(p->cols, last * PANEL) - first * PANEL, sums, down);
}

static void quant_up_row_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  quant_row_tile(step, phase, tile, worker, 0);
}

static void quant_down_row_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  quant_row_tile(step, phase, tile, worker, 1);
}

#define quant_up_row_forward {"quant/up_row_forward", quant_up_row_plan, quant_row_tiles, quant_up_row_tile}
#define quant_down_row_forward {"quant/down_row_forward", quant_down_row_plan, quant_row_tiles, quant_down_row_tile}
