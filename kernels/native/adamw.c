/* optim/adamw_update: one pass over gradient, weights and moments. */
#include "vector.h"

typedef struct {
  uint32_t count;
  float rate, beta1, beta2, eps, decay, clip, unbias1, unbias2;
} AdamwParams;

enum { ADAMW_G, ADAMW_W, ADAMW_M, ADAMW_V };

/* Elements of one tile. */
enum { ADAMW_TILE = 1 << 14 };

static void adamw_plan(const Step *step, Plan *plan) {
  for (int b = ADAMW_G; b <= ADAMW_V; b++) plan->need[b] = ((const AdamwParams *)step->params)->count;
  plan->phases = 1;
}

static uint32_t adamw_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const AdamwParams *)step->params)->count, ADAMW_TILE);
}

/*
 * Moments of weights that no gradient reaches shrink for ever; once subnormal, they would make each step slow. Far below
 * anything that eps lets count, they become 0.
 */
INLINE vf settle(vf moment) { return (vf)((vi)moment & ((moment > 1e-30f) | (moment < -1e-30f) | (moment != moment))); }

static void adamw_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const AdamwParams *p = (const AdamwParams *)step->params;
  const size_t from = (size_t)tile * ADAMW_TILE;
  const uint32_t count = min_u32(ADAMW_TILE, p->count - from);
  const float *g = (const float *)step->bind[ADAMW_G].data + from;
  float *w = (float *)step->bind[ADAMW_W].data + from;
  float *m = (float *)step->bind[ADAMW_M].data + from, *v = (float *)step->bind[ADAMW_V].data + from;
  const float fresh1 = 1.0f - p->beta1, fresh2 = 1.0f - p->beta2, keep = 1.0f - p->rate * p->decay;
  const float rate = p->rate / p->unbias1, unbias2 = 1.0f / p->unbias2;
  (void)phase, (void)worker;
  for (uint32_t i = 0; i < count; i += VW) {
    const uint32_t n = count - i;
    const vf slope = load_up_to(g + i, n) * p->clip;
    const vf mean = settle(p->beta1 * load_up_to(m + i, n) + fresh1 * slope);
    const vf square = settle(p->beta2 * load_up_to(v + i, n) + fresh2 * slope * slope);
    store_up_to(m + i, mean, n);
    store_up_to(v + i, square, n);
    store_up_to(w + i, load_up_to(w + i, n) * keep - rate * mean / (vsqrt(square * unbias2) + p->eps), n);
  }
}

#define optim_adamw_update {"optim/adamw_update", adamw_plan, adamw_tiles, adamw_tile}
