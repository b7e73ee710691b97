/* norm/weight_backward: sums over rows, first of each block of rows, then of the blocks in order. */
#include "vector.h"

typedef struct {
  uint32_t rows, width, add;
} NormWeightParams;

enum { NORM_WEIGHT_X, NORM_WEIGHT_DY, NORM_WEIGHT_STATS, NORM_WEIGHT_DWEIGHT, NORM_WEIGHT_DBIAS };

/* Rows of one block; columns of one tile of the second phase. */
enum { NORM_WEIGHT_ROWS = 64, NORM_WEIGHT_COLS = 64 };

/* Floats of one block's sums: of the weight, of the bias. */
static size_t norm_weight_sums(uint32_t width) { return 2ull * ceil_div(width, VW) * VW; }

static void norm_weight_plan(const Step *step, Plan *plan) {
  const NormWeightParams *p = (const NormWeightParams *)step->params;
  plan->need[NORM_WEIGHT_X] = plan->need[NORM_WEIGHT_DY] = (uint64_t)p->rows * p->width;
  plan->need[NORM_WEIGHT_STATS] = 2ull * p->rows;
  plan->need[NORM_WEIGHT_DWEIGHT] = plan->need[NORM_WEIGHT_DBIAS] = p->width;
  plan->phases = 2;
  plan->shared = 4ull * ceil_div(p->rows, NORM_WEIGHT_ROWS) * norm_weight_sums(p->width);
}

static uint32_t norm_weight_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const NormWeightParams *p = (const NormWeightParams *)step->params;
  (void)worker;
  return phase == 0 ? ceil_div(p->rows, NORM_WEIGHT_ROWS) : ceil_div(p->width, NORM_WEIGHT_COLS);
}

static void norm_weight_block(const Step *step, uint32_t block, float *weight, float *bias) {
  const NormWeightParams *p = (const NormWeightParams *)step->params;
  const float *stats = step->bind[NORM_WEIGHT_STATS].data;
  for (uint32_t t = block * NORM_WEIGHT_ROWS; t < min_u32(p->rows, (block + 1) * NORM_WEIGHT_ROWS); t++) {
    const float *x = (const float *)step->bind[NORM_WEIGHT_X].data + (size_t)t * p->width;
    const float *dy = (const float *)step->bind[NORM_WEIGHT_DY].data + (size_t)t * p->width;
    const float mean = stats[2ull * t], scale = stats[2ull * t + 1];
    for (uint32_t c = 0; c < p->width; c += VW) {
      const vf g = load_up_to(dy + c, p->width - c);
      store(weight + c, load(weight + c) + g * ((load_up_to(x + c, p->width - c) - mean) * scale));
      store(bias + c, load(bias + c) + g);
    }
  }
}

static void norm_weight_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const NormWeightParams *p = (const NormWeightParams *)step->params;
  const size_t each = norm_weight_sums(p->width);
  float *sums = (float *)worker->shared;
  if (phase == 0) {
    memset(sums + tile * each, 0, 4 * each);
    norm_weight_block(step, tile, sums + tile * each, sums + tile * each + each / 2);
    return;
  }
  float *dweight = step->bind[NORM_WEIGHT_DWEIGHT].data, *dbias = step->bind[NORM_WEIGHT_DBIAS].data;
  for (uint32_t c = tile * NORM_WEIGHT_COLS; c < min_u32(p->width, (tile + 1) * NORM_WEIGHT_COLS); c += VW) {
    const uint32_t n = p->width - c;
    vf weight = p->add ? load_up_to(dweight + c, n) : (vf){0}, bias = p->add ? load_up_to(dbias + c, n) : (vf){0};
    for (uint32_t block = 0; block < ceil_div(p->rows, NORM_WEIGHT_ROWS); block++) {
      weight += load(sums + block * each + c);
      bias += load(sums + block * each + each / 2 + c);
    }
    store_up_to(dweight + c, weight, n);
    store_up_to(dbias + c, bias, n);
  }
}

#define norm_weight_backward {"norm/weight_backward", norm_weight_plan, norm_weight_tiles, norm_weight_tile}
