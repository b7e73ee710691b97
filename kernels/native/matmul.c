/* matmul/matmul_forward: y = f(x · w + b), or y += x · w + b. */
#include "gemm.h"
#include "gemv.h"

typedef struct {
  uint32_t rows, inner, cols, gelu, add;
} MatmulParams;

enum { MATMUL_X, MATMUL_W, MATMUL_B, MATMUL_Y };

static void matmul_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                          const float *sums) {
  const MatmulParams *p = (const MatmulParams *)step->params;
  const float *bias = (const float *)step->bind[MATMUL_B].data + col;
  float *y = (float *)step->bind[MATMUL_Y].data + (size_t)row * p->cols + col;
  (void)group;
  for (uint32_t i = 0; i < cols; i += VW) {
    const uint32_t n = min_u32(VW, cols - i);
    const int whole = n == VW;
    __builtin_prefetch(y + 4 * p->cols + i, 1);
    vf v = load(sums + i) + (whole ? load(bias + i) : load_part(bias + i, n));
    if (p->gelu) v = vgelu(v);
    if (p->add) v = (whole ? load(y + i) : load_part(y + i, n)) + v;
    if (whole) store(y + i, v);
    else store_part(y + i, v, n);
  }
}

static Gemm matmul_gemm(const Step *step) {
  const MatmulParams *p = (const MatmulParams *)step->params;
  return (Gemm){.x = step->bind[MATMUL_X].data,
                .b = step->bind[MATMUL_W].data,
                .type = step->bind[MATMUL_W].type,
                .inner = p->inner,
                .cols = p->cols,
                .rows = p->rows,
                .groups = 1,
                .finish = matmul_finish};
}

static void matmul_plan(const Step *step, Plan *plan) {
  const MatmulParams *p = (const MatmulParams *)step->params;
  plan->need[MATMUL_X] = (uint64_t)p->rows * p->inner;
  plan->need[MATMUL_W] = (uint64_t)p->inner * p->cols;
  plan->need[MATMUL_B] = p->cols;
  plan->need[MATMUL_Y] = (uint64_t)p->rows * p->cols;
  const Gemm gemm = matmul_gemm(step);
  gemm_plan(&gemm, plan);
  if (p->rows == 1) {
    plan->phases = 1;
    plan->each = 4 * gemv_sums(p->inner);
  }
}

static uint32_t matmul_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const MatmulParams *p = (const MatmulParams *)step->params;
  if (p->rows == 1) return ceil_div(ceil_div(p->cols, PANEL), gemv_panels(p->inner, p->cols, worker->threads));
  const Gemm gemm = matmul_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void matmul_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const MatmulParams *p = (const MatmulParams *)step->params;
  const Gemm gemm = matmul_gemm(step);
  if (p->rows != 1) {
    gemm_tile(step, &gemm, phase, tile, worker);
    return;
  }
  float *sums = (float *)worker->own;
  const uint32_t run = gemv_panels(p->inner, p->cols, worker->threads), first = tile * run;
  const uint32_t last = min_u32(ceil_div(p->cols, PANEL), first + run);
  gemv(gemm.x, gemm.b, p->inner, first, last, gemm.type, sums);
  matmul_finish(step, 0, 0, first * PANEL, min_u32(p->cols, last * PANEL) - first * PANEL, sums);
}

#define matmul_matmul_forward {"matmul/matmul_forward", matmul_plan, matmul_tiles, matmul_tile}
