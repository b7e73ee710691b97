/* moe/up_row_forward and moe/down_row_forward: the experts' matrices for few rows, each with its own expert. */
#include "gemv.h"

/* Both kernels have these. */
typedef struct {
  uint32_t rows, inner, cols, first, count, at;
} RowParams;

enum { UP_ROW_X, UP_ROW_EXPERT, UP_ROW_W, UP_ROW_B, UP_ROW_H };
enum { DOWN_ROW_H, DOWN_ROW_EXPERT, DOWN_ROW_PROB, DOWN_ROW_W, DOWN_ROW_B, DOWN_ROW_Y };

static void row_plan(const RowParams *p, Plan *plan, int w) {
  plan->need[w] = (uint64_t)p->count * p->inner * p->cols;
  plan->need[w + 1] = ((uint64_t)p->first + p->count) * p->cols;
  plan->need[w + 2] = (uint64_t)p->rows * p->cols;
  plan->phases = 1;
  plan->each = 4 * gemv_sums(p->inner);
}

static void up_row_plan(const Step *step, Plan *plan) {
  const RowParams *p = (const RowParams *)step->params;
  plan->need[UP_ROW_X] = (uint64_t)p->rows * p->inner;
  plan->need[UP_ROW_EXPERT] = (uint64_t)p->at + p->rows;
  row_plan(p, plan, UP_ROW_W);
}

static void down_row_plan(const Step *step, Plan *plan) {
  const RowParams *p = (const RowParams *)step->params;
  plan->need[DOWN_ROW_H] = (uint64_t)p->rows * p->inner;
  plan->need[DOWN_ROW_EXPERT] = plan->need[DOWN_ROW_PROB] = (uint64_t)p->at + p->rows;
  row_plan(p, plan, DOWN_ROW_W);
}

static uint32_t row_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const RowParams *p = (const RowParams *)step->params;
  (void)phase;
  return p->rows * ceil_div(ceil_div(p->cols, PANEL), gemv_panels(p->inner, p->cols, worker->threads));
}

/*
 * What follows the product of row t, columns [col, col + cols). `down` is a constant: the kernels differ in their bindings and
 * in this.
 */
INLINE void row_finish(const Step *step, uint32_t t, uint32_t expert, uint32_t col, uint32_t cols, const float *sums,
                       const int down) {
  const RowParams *p = (const RowParams *)step->params;
  const Binding *w = &step->bind[down ? DOWN_ROW_W : UP_ROW_W];
  const float *bias = (const float *)w[1].data + (size_t)expert * p->cols + col;
  float *y = (float *)w[2].data + (size_t)t * p->cols + col;
  const float prob = down ? ((const float *)step->bind[DOWN_ROW_PROB].data)[p->at + t] : 1.0f;
  for (uint32_t i = 0; i < cols; i += VW) {
    const uint32_t n = min_u32(VW, cols - i);
    vf v = load(sums + i) + (n == VW ? load(bias + i) : load_part(bias + i, n));
    v = down ? (n == VW ? load(y + i) : load_part(y + i, n)) + prob * v : vgelu(v);
    if (n == VW) store(y + i, v);
    else store_part(y + i, v, n);
  }
}

INLINE void row_tile(const Step *step, uint32_t tile, const Worker *worker, const int down) {
  const RowParams *p = (const RowParams *)step->params;
  const Binding *w = &step->bind[down ? DOWN_ROW_W : UP_ROW_W];
  const uint32_t t = tile % p->rows, part = tile / p->rows;
  const uint32_t expert = ((const uint32_t *)step->bind[UP_ROW_EXPERT].data)[p->at + t];
  if (expert < p->first || expert - p->first >= p->count) return;
  const uint32_t run = gemv_panels(p->inner, p->cols, worker->threads), first = part * run;
  const uint32_t panels = ceil_div(p->cols, PANEL), last = min_u32(panels, first + run), col = first * PANEL;
  const size_t matrix = (size_t)panels * PANEL * p->inner * (w->type == F32 ? 4 : 2);
  float *sums = (float *)worker->own;
  gemv((const float *)step->bind[0].data + (size_t)t * p->inner, (const char *)w->data + (expert - p->first) * matrix,
       p->inner, first, last, w->type, sums);
  row_finish(step, t, expert, col, min_u32(p->cols, last * PANEL) - col, sums, down);
}

static void up_row_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  (void)phase;
  row_tile(step, tile, worker, 0);
}

static void down_row_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  (void)phase;
  row_tile(step, tile, worker, 1);
}

#define moe_up_row_forward {"moe/up_row_forward", up_row_plan, row_tiles, up_row_tile}
#define moe_down_row_forward {"moe/down_row_forward", down_row_plan, row_tiles, down_row_tile}
