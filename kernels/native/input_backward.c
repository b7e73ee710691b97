/* Gradients of what went into a product: dy times the transposed weights, for matrices, experts' matrices, the embedding. */
#include "gemm.h"

typedef struct {
  uint32_t rows, inner, cols, gelu, add;
} InputParams;

typedef struct {
  uint32_t rows, inner, cols, first, count, scatter;
} ExpertInputParams;

typedef struct {
  uint32_t rows, width, vocabulary, first, count, at, add;
} HiddenParams;

enum { INPUT_DY, INPUT_W, INPUT_U, INPUT_DX };
enum { EXPERT_INPUT_DY, EXPERT_INPUT_ORDER, EXPERT_INPUT_START, EXPERT_INPUT_W, EXPERT_INPUT_DX };
enum { HIDDEN_DY, HIDDEN_WTE, HIDDEN_DX };

static void input_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                         const float *sums) {
  const InputParams *p = (const InputParams *)step->params;
  const size_t at = (size_t)row * p->inner + col;
  float *dx = (float *)step->bind[INPUT_DX].data + at;
  (void)group;
  if (!p->gelu) {
    finish_row(dx, p->inner, cols, sums, p->add);
    return;
  }
  const float *u = (const float *)step->bind[INPUT_U].data + at;
  for (uint32_t i = 0; i < cols; i += VW) {
    const uint32_t n = min_u32(VW, cols - i);
    const vf sum = p->add ? load(sums + i) + load_up_to(dx + i, n) : load(sums + i);
    store_up_to(dx + i, sum * vgelu_slope(load_up_to(u + i, n)), n);
  }
}

static void expert_input_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                                const float *sums) {
  const ExpertInputParams *p = (const ExpertInputParams *)step->params;
  const uint32_t to = p->scatter ? ((const uint32_t *)step->bind[EXPERT_INPUT_ORDER].data)[row] : row;
  (void)group;
  finish_row((float *)step->bind[EXPERT_INPUT_DX].data + (size_t)to * p->inner + col, p->inner, cols, sums, p->scatter);
}

static void hidden_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                          const float *sums) {
  const HiddenParams *p = (const HiddenParams *)step->params;
  (void)group;
  finish_row((float *)step->bind[HIDDEN_DX].data + ((size_t)p->at + row) * p->width + col, p->width, cols, sums, p->add);
}

static Gemm input_gemm(const Step *step) {
  const InputParams *p = (const InputParams *)step->params;
  return (Gemm){.x = step->bind[INPUT_DY].data,
                .b = step->bind[INPUT_W].data,
                .type = step->bind[INPUT_W].type,
                .layout = B_TURNED,
                .inner = p->cols,
                .cols = p->inner,
                .rows = p->rows,
                .groups = 1,
                .finish = input_finish};
}

static Gemm expert_input_gemm(const Step *step) {
  const ExpertInputParams *p = (const ExpertInputParams *)step->params;
  return (Gemm){.x = step->bind[EXPERT_INPUT_DY].data,
                .b = step->bind[EXPERT_INPUT_W].data,
                .type = step->bind[EXPERT_INPUT_W].type,
                .layout = B_TURNED,
                .inner = p->cols,
                .cols = p->inner,
                .rows = p->rows,
                .groups = p->count,
                .start = (const uint32_t *)step->bind[EXPERT_INPUT_START].data + p->first,
                .finish = expert_input_finish};
}

static Gemm hidden_gemm(const Step *step) {
  const HiddenParams *p = (const HiddenParams *)step->params;
  return (Gemm){.x = (const float *)step->bind[HIDDEN_DY].data + p->first,
                .stride = p->vocabulary,
                .b = step->bind[HIDDEN_WTE].data,
                .type = step->bind[HIDDEN_WTE].type,
                .layout = B_ROWS,
                .inner = p->count,
                .cols = p->width,
                .rows = p->rows,
                .groups = 1,
                .finish = hidden_finish};
}

static void input_plan(const Step *step, Plan *plan) {
  const InputParams *p = (const InputParams *)step->params;
  const Gemm gemm = input_gemm(step);
  plan->need[INPUT_DY] = (uint64_t)p->rows * p->cols;
  plan->need[INPUT_W] = (uint64_t)p->inner * p->cols;
  plan->need[INPUT_U] = p->gelu ? (uint64_t)p->rows * p->inner : 0;
  plan->need[INPUT_DX] = (uint64_t)p->rows * p->inner;
  gemm_plan(&gemm, plan);
}

static void expert_input_plan(const Step *step, Plan *plan) {
  const ExpertInputParams *p = (const ExpertInputParams *)step->params;
  const Gemm gemm = expert_input_gemm(step);
  plan->need[EXPERT_INPUT_DY] = (uint64_t)p->rows * p->cols;
  plan->need[EXPERT_INPUT_ORDER] = p->rows;
  plan->need[EXPERT_INPUT_START] = p->first + p->count + 1ull;
  plan->need[EXPERT_INPUT_W] = (uint64_t)p->count * p->inner * p->cols;
  plan->need[EXPERT_INPUT_DX] = (uint64_t)p->rows * p->inner;
  gemm_plan(&gemm, plan);
}

static void hidden_plan(const Step *step, Plan *plan) {
  const HiddenParams *p = (const HiddenParams *)step->params;
  const Gemm gemm = hidden_gemm(step);
  plan->need[HIDDEN_DY] = p->rows ? (p->rows - 1ull) * p->vocabulary + p->first + p->count : 0;
  plan->need[HIDDEN_WTE] = (uint64_t)p->count * p->width;
  plan->need[HIDDEN_DX] = ((uint64_t)p->at + p->rows) * p->width;
  gemm_plan(&gemm, plan);
}

static uint32_t input_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = input_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void input_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = input_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

static uint32_t expert_input_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = expert_input_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void expert_input_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = expert_input_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

static uint32_t hidden_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = hidden_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void hidden_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Gemm gemm = hidden_gemm(step);
  gemm_tile(step, &gemm, phase, tile, worker);
}

#define matmul_input_backward {"matmul/input_backward", input_plan, input_tiles, input_tile}
#define moe_input_backward {"moe/input_backward", expert_input_plan, expert_input_tiles, expert_input_tile}
#define embed_logits_backward {"embed/logits_backward", hidden_plan, hidden_tiles, hidden_tile}
