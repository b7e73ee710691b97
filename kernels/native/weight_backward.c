/* Gradients of weights: products over the rows, for matrices, experts' matrices and tables, with those of the biases. */
#include "gemm.h"

typedef struct {
  uint32_t rows, inner, cols, add;
} WeightParams;

typedef struct {
  uint32_t rows, inner, cols, first, count, add;
} ExpertWeightParams;

typedef struct {
  uint32_t rows, width, cols, first, count, at, add;
} TableParams;

enum { WEIGHT_X, WEIGHT_DY, WEIGHT_DW, WEIGHT_DB };
enum { EXPERT_WEIGHT_X, EXPERT_WEIGHT_DY, EXPERT_WEIGHT_START, EXPERT_WEIGHT_DW, EXPERT_WEIGHT_DB };
enum { TABLE_DY, TABLE_X, TABLE_DW };

/* Row `row` of a packed matrix [inner, ..], columns [col, col + cols) = or += sums, which are 0 up to the panel's end. */
static void finish_panels(float *matrix, uint32_t inner, uint32_t row, uint32_t col, uint32_t cols, const float *sums,
                          int add) {
  for (uint32_t i = 0; i < cols; i += PANEL)
    finish_row(matrix + ((size_t)(col + i) * inner + (size_t)row * PANEL), PANEL, PANEL, sums + i, add);
}

static void weight_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                          const float *sums) {
  const WeightParams *p = (const WeightParams *)step->params;
  (void)group;
  if (row == p->inner) finish_row((float *)step->bind[WEIGHT_DB].data + col, 0, cols, sums, p->add);
  else finish_panels(step->bind[WEIGHT_DW].data, p->inner, row, col, cols, sums, p->add);
}

static void expert_weight_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                                 const float *sums) {
  const ExpertWeightParams *p = (const ExpertWeightParams *)step->params;
  float *dw = step->bind[EXPERT_WEIGHT_DW].data, *db = step->bind[EXPERT_WEIGHT_DB].data;
  if (row == p->inner) finish_row(db + ((size_t)p->first + group) * p->cols + col, 0, cols, sums, p->add);
  else {
    dw += (size_t)group * ceil_div(p->cols, PANEL) * PANEL * p->inner;
    finish_panels(dw, p->inner, row, col, cols, sums, p->add);
  }
}

static void table_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                         const float *sums) {
  const TableParams *p = (const TableParams *)step->params;
  (void)group;
  finish_row((float *)step->bind[TABLE_DW].data + (size_t)row * p->width + col, p->width, cols, sums, p->add);
}

static Gemm weight_gemm(const Step *step) {
  const WeightParams *p = (const WeightParams *)step->params;
  return (Gemm){.x = step->bind[WEIGHT_X].data,
                .transpose = 1,
                .b = step->bind[WEIGHT_DY].data,
                .layout = B_ROWS,
                .inner = p->rows,
                .cols = p->cols,
                .rows = p->inner,
                .groups = 1,
                .finish = weight_finish,
                .sums = 1};
}

static Gemm expert_weight_gemm(const Step *step) {
  const ExpertWeightParams *p = (const ExpertWeightParams *)step->params;
  return (Gemm){.x = step->bind[EXPERT_WEIGHT_X].data,
                .transpose = 1,
                .b = step->bind[EXPERT_WEIGHT_DY].data,
                .layout = B_ROWS,
                .inner = p->rows,
                .cols = p->cols,
                .rows = p->inner,
                .groups = p->count,
                .start = (const uint32_t *)step->bind[EXPERT_WEIGHT_START].data + p->first,
                .finish = expert_weight_finish,
                .sums = 1};
}

static Gemm table_gemm(const Step *step) {
  const TableParams *p = (const TableParams *)step->params;
  return (Gemm){.x = (const float *)step->bind[TABLE_DY].data + p->first,
                .stride = p->cols,
                .transpose = 1,
                .b = (const float *)step->bind[TABLE_X].data + (size_t)p->at * p->width,
                .layout = B_ROWS,
                .inner = p->rows,
                .cols = p->width,
                .rows = p->count,
                .groups = 1,
                .finish = table_finish};
}

static void weight_plan(const Step *step, Plan *plan) {
  const WeightParams *p = (const WeightParams *)step->params;
  const Gemm gemm = weight_gemm(step);
  plan->need[WEIGHT_X] = (uint64_t)p->rows * p->inner;
  plan->need[WEIGHT_DY] = (uint64_t)p->rows * p->cols;
  plan->need[WEIGHT_DW] = (uint64_t)p->inner * p->cols;
  plan->need[WEIGHT_DB] = p->cols;
  gemm_plan(&gemm, plan);
}

static void expert_weight_plan(const Step *step, Plan *plan) {
  const ExpertWeightParams *p = (const ExpertWeightParams *)step->params;
  const Gemm gemm = expert_weight_gemm(step);
  plan->need[EXPERT_WEIGHT_X] = (uint64_t)p->rows * p->inner;
  plan->need[EXPERT_WEIGHT_DY] = (uint64_t)p->rows * p->cols;
  plan->need[EXPERT_WEIGHT_START] = p->first + p->count + 1ull;
  plan->need[EXPERT_WEIGHT_DW] = (uint64_t)p->count * p->inner * p->cols;
  plan->need[EXPERT_WEIGHT_DB] = ((uint64_t)p->first + p->count) * p->cols;
  gemm_plan(&gemm, plan);
}

static void table_plan(const Step *step, Plan *plan) {
  const TableParams *p = (const TableParams *)step->params;
  const Gemm gemm = table_gemm(step);
  plan->need[TABLE_DY] = p->rows ? (p->rows - 1ull) * p->cols + p->first + p->count : 0;
  plan->need[TABLE_X] = ((uint64_t)p->at + p->rows) * p->width;
  plan->need[TABLE_DW] = (uint64_t)p->count * p->width;
  gemm_plan(&gemm, plan);
}

static uint32_t weight_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = weight_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void weight_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = weight_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

static uint32_t expert_weight_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = expert_weight_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void expert_weight_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = expert_weight_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

static uint32_t table_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = table_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void table_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = table_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

#define matmul_weight_backward {"matmul/weight_backward", weight_plan, weight_tiles, weight_tile}
#define moe_weight_backward {"moe/weight_backward", expert_weight_plan, expert_weight_tiles, expert_weight_tile}
#define matmul_table_backward {"matmul/table_backward", table_plan, table_tiles, table_tile}
