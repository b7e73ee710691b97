/* moe/up_forward and moe/down_forward: the experts' matrices over rows grouped by expert. */
#include "gemm.h"

typedef struct {
  uint32_t rows, inner, cols, first, count, gelu;
} UpParams;

typedef struct {
  uint32_t rows, inner, cols, first, count, at;
} DownParams;

enum { UP_X, UP_ORDER, UP_START, UP_W, UP_B, UP_H };
enum { DOWN_H, DOWN_ORDER, DOWN_START, DOWN_PROB, DOWN_W, DOWN_B, DOWN_Y };

static void up_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols, const float *sums) {
  const UpParams *p = (const UpParams *)step->params;
  const float *bias = (const float *)step->bind[UP_B].data + (size_t)(p->first + group) * p->cols + col;
  float *h = (float *)step->bind[UP_H].data + (size_t)row * p->cols + col;
  for (uint32_t i = 0; i < cols; i += VW) {
    const uint32_t n = min_u32(VW, cols - i);
    __builtin_prefetch(h + 4 * p->cols + i, 1);
    vf v = load(sums + i) + (n == VW ? load(bias + i) : load_part(bias + i, n));
    if (p->gelu) v = vgelu(v);
    if (n == VW) store(h + i, v);
    else store_part(h + i, v, n);
  }
}

static void down_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                        const float *sums) {
  const DownParams *p = (const DownParams *)step->params;
  const uint32_t t = ((const uint32_t *)step->bind[DOWN_ORDER].data)[row];
  const float prob = ((const float *)step->bind[DOWN_PROB].data)[p->at + t];
  const float *bias = (const float *)step->bind[DOWN_B].data + (size_t)(p->first + group) * p->cols + col;
  float *y = (float *)step->bind[DOWN_Y].data + (size_t)t * p->cols + col;
  for (uint32_t i = 0; i < cols; i += VW) {
    const uint32_t n = min_u32(VW, cols - i);
    if (n == VW) store(y + i, load(y + i) + prob * (load(sums + i) + load(bias + i)));
    else store_part(y + i, load_part(y + i, n) + prob * (load(sums + i) + load_part(bias + i, n)), n);
  }
}

static Gemm up_gemm(const Step *step) {
  const UpParams *p = (const UpParams *)step->params;
  return (Gemm){.x = step->bind[UP_X].data,
                .gather = step->bind[UP_ORDER].data,
                .b = step->bind[UP_W].data,
                .type = step->bind[UP_W].type,
                .inner = p->inner,
                .cols = p->cols,
                .rows = p->rows,
                .groups = p->count,
                .start = (const uint32_t *)step->bind[UP_START].data + p->first,
                .finish = up_finish};
}

static Gemm down_gemm(const Step *step) {
  const DownParams *p = (const DownParams *)step->params;
  return (Gemm){.x = step->bind[DOWN_H].data,
                .b = step->bind[DOWN_W].data,
                .type = step->bind[DOWN_W].type,
                .inner = p->inner,
                .cols = p->cols,
                .rows = p->rows,
                .groups = p->count,
                .start = (const uint32_t *)step->bind[DOWN_START].data + p->first,
                .finish = down_finish};
}

static void up_plan(const Step *step, Plan *plan) {
  const UpParams *p = (const UpParams *)step->params;
  plan->need[UP_X] = (uint64_t)p->rows * p->inner;
  plan->need[UP_ORDER] = p->rows;
  plan->need[UP_START] = p->first + p->count + 1ull;
  plan->need[UP_W] = (uint64_t)p->count * p->inner * p->cols;
  plan->need[UP_B] = ((uint64_t)p->first + p->count) * p->cols;
  plan->need[UP_H] = (uint64_t)p->rows * p->cols;
  const Gemm gemm = up_gemm(step);
  gemm_plan(&gemm, plan);
}

static void down_plan(const Step *step, Plan *plan) {
  const DownParams *p = (const DownParams *)step->params;
  plan->need[DOWN_H] = (uint64_t)p->rows * p->inner;
  plan->need[DOWN_ORDER] = p->rows;
  plan->need[DOWN_START] = p->first + p->count + 1ull;
  plan->need[DOWN_PROB] = (uint64_t)p->at + p->rows;
  plan->need[DOWN_W] = (uint64_t)p->count * p->inner * p->cols;
  plan->need[DOWN_B] = ((uint64_t)p->first + p->count) * p->cols;
  plan->need[DOWN_Y] = (uint64_t)p->rows * p->cols;
  const Gemm gemm = down_gemm(step);
  gemm_plan(&gemm, plan);
}

static uint32_t up_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = up_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void up_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = up_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

static uint32_t down_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = down_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void down_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = down_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

#define moe_up_forward {"moe/up_forward", up_plan, up_tiles, up_tile}
#define moe_down_forward {"moe/down_forward", down_plan, down_tiles, down_tile}
