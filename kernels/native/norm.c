/* LayerNorm with weight and bias, in two passes over the row for the variance: norm/norm_forward, norm/norm_backward. */
#include "vector.h"

typedef struct {
  uint32_t rows, width, skip;
  float eps;
} NormParams;

typedef struct {
  uint32_t rows, width, add;
  float eps;
} NormBackParams;

enum { NORM_X, NORM_WEIGHT, NORM_BIAS, NORM_Y };
enum { NORM_BACK_X, NORM_BACK_WEIGHT, NORM_BACK_DY, NORM_BACK_DX, NORM_BACK_STATS };

/* Rows of one tile. */
enum { NORM_ROWS = 8 };

static void norm_plan(const Step *step, Plan *plan) {
  const NormParams *p = (const NormParams *)step->params;
  plan->need[NORM_X] = ((uint64_t)p->skip + p->rows) * p->width;
  plan->need[NORM_WEIGHT] = plan->need[NORM_BIAS] = p->width;
  plan->need[NORM_Y] = (uint64_t)p->rows * p->width;
  plan->phases = 1;
}

static uint32_t norm_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const NormParams *)step->params)->rows, NORM_ROWS);
}

/* Σ (x − shift)^power over the row, power 1 or 2; the tail beyond whole vectors one by one. */
INLINE float moment(const float *x, uint32_t width, float shift, const int power) {
  vf s[2] = {0};
  uint32_t i = 0;
  for (; i + 2 * VW <= width; i += 2 * VW)
    for (int j = 0; j < 2; j++) {
      const vf d = load(x + i + j * VW) - shift;
      s[j] += power == 2 ? d * d : d;
    }
  float total = sum(s[0] + s[1]);
  for (; i < width; i++) total += power == 2 ? (x[i] - shift) * (x[i] - shift) : x[i] - shift;
  return total;
}

static void norm_row(const float *x, const float *weight, const float *bias, float *y, uint32_t width, float eps) {
  const float mean = x[0] + moment(x, width, x[0], 1) / width;
  const float scale = 1.0f / sqrtf(moment(x, width, mean, 2) / width + eps);
  uint32_t i = 0;
  for (; i + VW <= width; i += VW) store(y + i, (load(x + i) - mean) * scale * load(weight + i) + load(bias + i));
  for (; i < width; i++) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

static void norm_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const NormParams *p = (const NormParams *)step->params;
  (void)phase, (void)worker;
  for (uint32_t t = tile * NORM_ROWS; t < min_u32(p->rows, (tile + 1) * NORM_ROWS); t++)
    norm_row((const float *)step->bind[NORM_X].data + ((size_t)p->skip + t) * p->width, step->bind[NORM_WEIGHT].data,
             step->bind[NORM_BIAS].data, (float *)step->bind[NORM_Y].data + (size_t)t * p->width, p->width, p->eps);
}

static void norm_back_plan(const Step *step, Plan *plan) {
  const NormBackParams *p = (const NormBackParams *)step->params;
  plan->need[NORM_BACK_X] = plan->need[NORM_BACK_DY] = plan->need[NORM_BACK_DX] = (uint64_t)p->rows * p->width;
  plan->need[NORM_BACK_WEIGHT] = p->width;
  plan->need[NORM_BACK_STATS] = 2ull * p->rows;
  plan->phases = 1;
}

/* dx = scale · (g − mean of g − n · mean of g n), g = dy · weight, n = (x − mean) · scale. */
INLINE void norm_back_row(const float *x, const float *weight, const float *dy, float *dx, float *stats, uint32_t width,
                          float eps, const int add) {
  const float mean = x[0] + moment(x, width, x[0], 1) / width;
  const float scale = 1.0f / sqrtf(moment(x, width, mean, 2) / width + eps);
  vf sums = {0}, products = {0};
  uint32_t i = 0;
  for (; i + VW <= width; i += VW) {
    const vf g = load(dy + i) * load(weight + i);
    sums += g;
    products += g * (load(x + i) - mean);
  }
  float along = sum(products), shift = sum(sums);
  for (; i < width; i++) {
    const float g = dy[i] * weight[i];
    shift += g;
    along += g * (x[i] - mean);
  }
  shift /= width;
  along *= scale * scale / width;
  for (i = 0; i < width; i += VW) {
    const uint32_t n = width - i;
    const vf g = load_up_to(dy + i, n) * load_up_to(weight + i, n);
    const vf slope = (g - shift - (load_up_to(x + i, n) - mean) * along) * scale;
    store_up_to(dx + i, add ? load_up_to(dx + i, n) + slope : slope, n);
  }
  stats[0] = mean;
  stats[1] = scale;
}

static void norm_back_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const NormBackParams *p = (const NormBackParams *)step->params;
  (void)phase, (void)worker;
  for (uint32_t t = tile * NORM_ROWS; t < min_u32(p->rows, (tile + 1) * NORM_ROWS); t++) {
    const size_t at = (size_t)t * p->width;
    const float *x = (const float *)step->bind[NORM_BACK_X].data + at, *weight = step->bind[NORM_BACK_WEIGHT].data;
    const float *dy = (const float *)step->bind[NORM_BACK_DY].data + at;
    float *dx = (float *)step->bind[NORM_BACK_DX].data + at;
    float *stats = (float *)step->bind[NORM_BACK_STATS].data + 2ull * t;
    if (p->add) norm_back_row(x, weight, dy, dx, stats, p->width, p->eps, 1);
    else norm_back_row(x, weight, dy, dx, stats, p->width, p->eps, 0);
  }
}

#define norm_norm_forward {"norm/norm_forward", norm_plan, norm_tiles, norm_tile}
#define norm_norm_backward {"norm/norm_backward", norm_back_plan, norm_tiles, norm_back_tile}
