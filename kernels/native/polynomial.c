/* optim/polynomial_update: of each symmetric matrix A, a · 1 + b · A + c · A². */
#include "gemm.h"

typedef struct {
  uint32_t count, width;
  float a, b, c;
} PolynomialParams;

enum { POLYNOMIAL_GRAM, POLYNOMIAL_W };

/* A matrix in panels, and a row of it from a panel on. */
static size_t polynomial_at(const PolynomialParams *p, uint32_t matrix, uint32_t row, uint32_t col) {
  const size_t size = (size_t)ceil_div(p->width, PANEL) * PANEL * p->width;
  return matrix * size + (size_t)col * p->width + (size_t)row * PANEL;
}

static void polynomial_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                              const float *sums) {
  const PolynomialParams *p = (const PolynomialParams *)step->params;
  row -= group * p->width;
  for (uint32_t i = 0; i < cols; i += PANEL) {
    const size_t at = polynomial_at(p, group, row, col + i);
    const float *gram = (const float *)step->bind[POLYNOMIAL_GRAM].data + at;
    float *w = (float *)step->bind[POLYNOMIAL_W].data + at;
    __builtin_prefetch(gram + 4 * PANEL);
    __builtin_prefetch(w + 4 * PANEL, 1);
    for (uint32_t j = 0; j < PANEL; j += VW) store(w + j, p->b * load(gram + j) + p->c * load(sums + i + j));
    if (row >= col + i && row < col + i + PANEL) w[row - col - i] += p->a;
  }
}

/* Without what lies in scratch. */
static Gemm polynomial_product(const Step *step) {
  const PolynomialParams *p = (const PolynomialParams *)step->params;
  return (Gemm){.b = step->bind[POLYNOMIAL_GRAM].data,
                .type = F32,
                .layout = B_PANELS,
                .inner = p->width,
                .cols = p->width,
                .rows = p->count * p->width,
                .groups = p->count,
                .finish = polynomial_finish};
}

/* Where scratch of the product ends: each matrix's first row, then the matrices as rows. */
static uint64_t product_bytes(const Gemm *g) {
  Plan plan = {0};
  gemm_plan(g, &plan);
  return lines(plan.shared);
}

static uint32_t *matrix_starts(const Gemm *g, const Worker *w) { return (uint32_t *)(w->shared + product_bytes(g)); }
static float *matrix_rows(const Gemm *g, const Worker *w) {
  return (float *)(w->shared + product_bytes(g) + lines(4 * (g->groups + 1ull)));
}

static Gemm polynomial_gemm(const Step *step, const Worker *worker) {
  Gemm gemm = polynomial_product(step);
  gemm.start = matrix_starts(&gemm, worker);
  gemm.x = matrix_rows(&gemm, worker);
  return gemm;
}

/* Phase 0 lays the matrices out as rows. */
static void polynomial_plan(const Step *step, Plan *plan) {
  const PolynomialParams *p = (const PolynomialParams *)step->params;
  const Gemm gemm = polynomial_product(step);
  plan->need[POLYNOMIAL_GRAM] = plan->need[POLYNOMIAL_W] = (uint64_t)p->count * p->width * p->width;
  gemm_plan(&gemm, plan);
  plan->phases++;
  plan->shared = product_bytes(&gemm) + lines(4 * (p->count + 1ull)) + 4ull * gemm.rows * p->width;
}

static uint32_t polynomial_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const Gemm gemm = polynomial_gemm(step, worker);
  if (phase) return gemm_tiles(&gemm, phase - 1, worker);
  uint32_t *starts = matrix_starts(&gemm, worker);
  for (uint32_t e = 0; e <= gemm.groups; e++) starts[e] = e * gemm.inner;
  return gemm.groups * ceil_div(gemm.cols, PANEL);
}

static void polynomial_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const PolynomialParams *p = (const PolynomialParams *)step->params;
  const Gemm gemm = polynomial_gemm(step, worker);
  if (phase) {
    gemm_tile(step, &gemm, phase - 1, tile, worker);
    return;
  }
  const uint32_t panels = ceil_div(p->width, PANEL), matrix = tile / panels, col = tile % panels * PANEL;
  const float *from = (const float *)step->bind[POLYNOMIAL_GRAM].data + polynomial_at(p, matrix, 0, col);
  float *to = matrix_rows(&gemm, worker) + (size_t)matrix * p->width * p->width + col;
  for (uint32_t k = 0; k < p->width; k++)
    memcpy(to + (size_t)k * p->width, from + (size_t)k * PANEL, 4 * min_u32(PANEL, p->width - col));
}

#define optim_polynomial_update {"optim/polynomial_update", polynomial_plan, polynomial_tiles, polynomial_tile}
