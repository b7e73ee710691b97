/* Muon's kernels beside its products: momentum, norms, the update. */
#include "transpose.h"

typedef struct {
  uint32_t count, inner, cols;
  float beta, clip;
} MomentumParams;

typedef struct {
  uint32_t count, size;
} NormalizeParams;

typedef struct {
  uint32_t count, inner, cols;
  float rate, scale, decay;
} OrthogonalParams;

enum { MOMENTUM_G, MOMENTUM_M, MOMENTUM_X };
enum { NORMALIZE_X };
enum { ORTHOGONAL_X, ORTHOGONAL_W };

/* Four rows of a panel, columns that a matrix has, and where they lie as rows: themselves or transposed. */
typedef struct {
  float *to;
  size_t pitch;
  uint32_t live, turned;
} RowsOf;

static RowsOf rows_of(float *x, uint32_t matrix, uint32_t panel, uint32_t k, uint32_t inner, uint32_t cols) {
  const uint32_t col = panel * PANEL, turned = cols >= inner;
  x += (size_t)matrix * inner * cols + (turned ? (size_t)col * inner + k : (size_t)k * cols + col);
  return (RowsOf){x, turned ? inner : cols, min_u32(PANEL, cols - col), turned};
}

static void momentum_plan(const Step *step, Plan *plan) {
  const MomentumParams *p = (const MomentumParams *)step->params;
  for (int b = MOMENTUM_G; b <= MOMENTUM_X; b++) plan->need[b] = (uint64_t)p->count * p->inner * p->cols;
  plan->phases = 1;
}

/* A tile is a panel. */
static uint32_t momentum_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const MomentumParams *p = (const MomentumParams *)step->params;
  (void)phase, (void)worker;
  return p->count * ceil_div(p->cols, PANEL);
}

static void momentum_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const MomentumParams *p = (const MomentumParams *)step->params;
  const uint32_t panels = ceil_div(p->cols, PANEL);
  const size_t at = (size_t)tile * p->inner * PANEL;
  const float *g = (const float *)step->bind[MOMENTUM_G].data + at;
  float *m = (float *)step->bind[MOMENTUM_M].data + at, *x = step->bind[MOMENTUM_X].data;
  const float fresh = (1.0f - p->beta) * p->clip;
  (void)phase, (void)worker;
  for (uint32_t k = 0; k < p->inner; k += 4) {
    const uint32_t rows = min_u32(4, p->inner - k);
    float next[4][PANEL] = {{0}};
    for (uint32_t r = 0; r < rows; r++)
      for (uint32_t i = 0; i < PANEL; i += VW) {
        const size_t from = (size_t)(k + r) * PANEL + i;
        const vf slope = fresh * load(g + from), mean = p->beta * load(m + from) + slope;
        store(m + from, mean);
        store(next[r] + i, p->beta * mean + slope);
      }
    const RowsOf to = rows_of(x, tile / panels, tile % panels, k, p->inner, p->cols);
    if (to.turned && rows == 4) transpose_four(to.to, to.pitch, (const float *const[4]){next[0], next[1], next[2], next[3]}, to.live);
    else
      for (uint32_t r = 0; r < rows; r++)
        for (uint32_t j = 0; j < to.live; j++) to.to[to.turned ? j * to.pitch + r : r * to.pitch + j] = next[r][j];
  }
}

static void orthogonal_plan(const Step *step, Plan *plan) {
  const OrthogonalParams *p = (const OrthogonalParams *)step->params;
  for (int b = ORTHOGONAL_X; b <= ORTHOGONAL_W; b++) plan->need[b] = (uint64_t)p->count * p->inner * p->cols;
  plan->phases = 1;
}

static uint32_t orthogonal_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const OrthogonalParams *p = (const OrthogonalParams *)step->params;
  (void)phase, (void)worker;
  return p->count * ceil_div(p->cols, PANEL);
}

static void orthogonal_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const OrthogonalParams *p = (const OrthogonalParams *)step->params;
  const uint32_t panels = ceil_div(p->cols, PANEL);
  float *w = (float *)step->bind[ORTHOGONAL_W].data + (size_t)tile * p->inner * PANEL;
  const float keep = 1.0f - p->rate * p->decay, by = p->rate * p->scale;
  (void)phase, (void)worker;
  for (uint32_t k = 0; k < p->inner; k += PANEL) {
    const uint32_t rows = min_u32(PANEL, p->inner - k);
    const RowsOf from = rows_of(step->bind[ORTHOGONAL_X].data, tile / panels, tile % panels, k, p->inner, p->cols);
    float next[PANEL][PANEL] = {{0}};
    if (from.turned) transpose_panel(next[0], from.to, 0, from.pitch, from.live, rows, F32);
    else
      for (uint32_t r = 0; r < rows; r++) memcpy(next[r], from.to + r * from.pitch, 4 * from.live);
    for (uint32_t r = 0; r < rows; r++)
      for (uint32_t i = 0; i < PANEL; i += VW) {
        float *to = w + (size_t)(k + r) * PANEL + i;
        store(to, load(to) * keep - by * load(next[r] + i));
      }
  }
}

static void normalize_plan(const Step *step, Plan *plan) {
  const NormalizeParams *p = (const NormalizeParams *)step->params;
  plan->need[NORMALIZE_X] = (uint64_t)p->count * p->size;
  plan->phases = 1;
}

static uint32_t normalize_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const NormalizeParams *)step->params)->count;
}

static void normalize_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const uint32_t size = ((const NormalizeParams *)step->params)->size;
  float *x = (float *)step->bind[NORMALIZE_X].data + (size_t)tile * size;
  vf squares[4] = {0};
  (void)phase, (void)worker;
  for (uint32_t i = 0; i < size; i += 4 * VW)
    for (uint32_t j = 0, at = i; j < 4 && at < size; j++, at += VW) {
      const vf v = load_up_to(x + at, size - at);
      squares[j] += v * v;
    }
  const float by = 1.0f / (sqrtf(sum((squares[0] + squares[1]) + (squares[2] + squares[3]))) + 1e-7f);
  for (uint32_t i = 0; i < size; i += VW) store_up_to(x + i, load_up_to(x + i, size - i) * by, size - i);
}

#define optim_momentum_update {"optim/momentum_update", momentum_plan, momentum_tiles, momentum_tile}
#define optim_normalize_update {"optim/normalize_update", normalize_plan, normalize_tiles, normalize_tile}
#define optim_orthogonal_update {"optim/orthogonal_update", orthogonal_plan, orthogonal_tiles, orthogonal_tile}
