/* Back through an MoE layer, beside its products: moe/gather_forward, moe/activation_backward, moe/route_backward. */
#include "vector.h"

typedef struct {
  uint32_t rows, width, experts, at, scaled;
} GatherParams;

typedef struct {
  uint32_t rows, inner, width, experts, at;
} SlopeParams;

typedef struct {
  uint32_t rows, width, experts, at, to;
  float aux;
} RouteBackParams;

enum { GATHER_X, GATHER_ORDER, GATHER_START, GATHER_PROB, GATHER_Y };
enum { SLOPE_U, SLOPE_DY, SLOPE_B, SLOPE_ORDER, SLOPE_START, SLOPE_PROB, SLOPE_G, SLOPE_DPROB };
enum { BACK_PROBS, BACK_EXPERT, BACK_DPROB, BACK_BALANCE, BACK_GATE, BACK_DZ, BACK_DX };

/* Rows of one tile. */
enum { GATHER_ROWS = 8, SLOPE_ROWS = 4, BACK_ROWS = 8 };

static void gather_plan(const Step *step, Plan *plan) {
  const GatherParams *p = (const GatherParams *)step->params;
  plan->need[GATHER_X] = plan->need[GATHER_Y] = (uint64_t)p->rows * p->width;
  plan->need[GATHER_ORDER] = p->rows;
  plan->need[GATHER_START] = p->experts + 1ull;
  plan->need[GATHER_PROB] = (uint64_t)p->at + p->rows;
  plan->phases = 1;
}

/* Rows that an expert has. */
static uint32_t gathered(const Step *step) {
  const GatherParams *p = (const GatherParams *)step->params;
  return min_u32(p->rows, ((const uint32_t *)step->bind[GATHER_START].data)[p->experts]);
}

static uint32_t gather_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(gathered(step), GATHER_ROWS);
}

static void gather_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const GatherParams *p = (const GatherParams *)step->params;
  (void)phase, (void)worker;
  for (uint32_t i = tile * GATHER_ROWS; i < min_u32(gathered(step), (tile + 1) * GATHER_ROWS); i++) {
    const uint32_t t = ((const uint32_t *)step->bind[GATHER_ORDER].data)[i];
    if (t >= p->rows) continue;
    const float *x = (const float *)step->bind[GATHER_X].data + (size_t)t * p->width;
    float *y = (float *)step->bind[GATHER_Y].data + (size_t)i * p->width;
    const float prob = p->scaled ? ((const float *)step->bind[GATHER_PROB].data)[p->at + t] : 1.0f;
    for (uint32_t c = 0; c < p->width; c += VW)
      store_up_to(y + c, load_up_to(x + c, p->width - c) * prob, p->width - c);
  }
}

static void slope_plan(const Step *step, Plan *plan) {
  const SlopeParams *p = (const SlopeParams *)step->params;
  plan->need[SLOPE_U] = plan->need[SLOPE_G] = (uint64_t)p->rows * p->inner;
  plan->need[SLOPE_DY] = (uint64_t)p->rows * p->width;
  plan->need[SLOPE_B] = (uint64_t)p->experts * p->width;
  plan->need[SLOPE_ORDER] = plan->need[SLOPE_DPROB] = p->rows;
  plan->need[SLOPE_START] = p->experts + 1ull;
  plan->need[SLOPE_PROB] = (uint64_t)p->at + p->rows;
  plan->phases = 1;
}

static uint32_t slope_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const SlopeParams *p = (const SlopeParams *)step->params;
  (void)phase, (void)worker;
  return ceil_div(min_u32(p->rows, ((const uint32_t *)step->bind[SLOPE_START].data)[p->experts]), SLOPE_ROWS);
}

/* g *= gelu'(u); returns Σ gelu(u) · g of before. */
static float slope_row(const float *u, float *g, uint32_t inner) {
  vf total = {0};
  for (uint32_t f = 0; f < inner; f += VW) {
    const uint32_t n = inner - f;
    prefetch(u, f, VW, F32);
    prefetch(g, f, VW, F32);
    const vf x = load_up_to(u + f, n), before = load_up_to(g + f, n);
    total += x * vgelu_share(x) * before;
    store_up_to(g + f, before * vgelu_slope(x), n);
  }
  return sum(total);
}

static void slope_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const SlopeParams *p = (const SlopeParams *)step->params;
  const uint32_t *start = step->bind[SLOPE_START].data;
  const uint32_t end = min_u32(min_u32(p->rows, start[p->experts]), (tile + 1) * SLOPE_ROWS);
  (void)phase, (void)worker;
  for (uint32_t i = tile * SLOPE_ROWS, e = 0; i < end; i++) {
    while (e < p->experts && i >= start[e + 1]) e++;
    const uint32_t t = ((const uint32_t *)step->bind[SLOPE_ORDER].data)[i];
    if (e == p->experts || t >= p->rows) continue;
    const float *b = (const float *)step->bind[SLOPE_B].data + (size_t)e * p->width;
    const float total = slope_row((const float *)step->bind[SLOPE_U].data + (size_t)i * p->inner,
                                  (float *)step->bind[SLOPE_G].data + (size_t)i * p->inner, p->inner) +
                        dot(b, step->bind[SLOPE_DY].data, (size_t)i * p->width, p->width, F32);
    ((float *)step->bind[SLOPE_DPROB].data)[t] = total / ((const float *)step->bind[SLOPE_PROB].data)[p->at + t];
  }
}

static void route_back_plan(const Step *step, Plan *plan) {
  const RouteBackParams *p = (const RouteBackParams *)step->params;
  plan->need[BACK_PROBS] = plan->need[BACK_DZ] = (uint64_t)p->rows * p->experts;
  plan->need[BACK_EXPERT] = (uint64_t)p->at + p->rows;
  plan->need[BACK_DPROB] = p->rows;
  plan->need[BACK_BALANCE] = p->to + 2ull * p->experts;
  plan->need[BACK_GATE] = (uint64_t)p->experts * p->width;
  plan->need[BACK_DX] = (uint64_t)p->rows * p->width;
  plan->phases = 1;
}

static uint32_t route_back_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const RouteBackParams *)step->params)->rows, BACK_ROWS);
}

/* dz = probs · (slope − Σ probs · slope), slope = aux · share of the expert, and dprob for the chosen one. */
static void route_slopes(const float *probs, const float *share, float aux, uint32_t chosen, float dprob, float *dz,
                         uint32_t experts) {
  vf products = {0};
  for (uint32_t e = 0; e < experts; e += VW)
    products += load_up_to(probs + e, experts - e) * (aux * load_up_to(share + e, experts - e));
  const float mean = sum(products) + (chosen < experts ? probs[chosen] * dprob : 0);
  for (uint32_t e = 0; e < experts; e += VW) {
    const vf slope = aux * load_up_to(share + e, experts - e) - mean;
    store_up_to(dz + e, load_up_to(probs + e, experts - e) * slope, experts - e);
  }
  if (chosen < experts) dz[chosen] += probs[chosen] * dprob;
}

/* dx = dz · gate, columns in strips that the registers hold. */
static void route_row(const float *dz, const float *gate, float *dx, uint32_t experts, uint32_t width) {
  enum { STRIP = 8 };
  uint32_t c = 0;
  for (; c + STRIP * VW <= width; c += STRIP * VW) {
    vf acc[STRIP] = {0};
    for (uint32_t e = 0; e < experts; e++)
      UNROLL
      for (int j = 0; j < STRIP; j++) acc[j] += dz[e] * load(gate + (size_t)e * width + c + j * VW);
    UNROLL
    for (int j = 0; j < STRIP; j++) store(dx + c + j * VW, acc[j]);
  }
  for (; c < width; c += VW) {
    vf acc = {0};
    for (uint32_t e = 0; e < experts; e++) acc += dz[e] * load_up_to(gate + (size_t)e * width + c, width - c);
    store_up_to(dx + c, acc, width - c);
  }
}

static void route_back_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const RouteBackParams *p = (const RouteBackParams *)step->params;
  const float *share = (const float *)step->bind[BACK_BALANCE].data + p->to + p->experts;
  (void)phase, (void)worker;
  for (uint32_t t = tile * BACK_ROWS; t < min_u32(p->rows, (tile + 1) * BACK_ROWS); t++) {
    const uint32_t chosen = ((const uint32_t *)step->bind[BACK_EXPERT].data)[p->at + t];
    const float *probs = (const float *)step->bind[BACK_PROBS].data + (size_t)t * p->experts;
    float *dz = (float *)step->bind[BACK_DZ].data + (size_t)t * p->experts;
    const float dprob = chosen < p->experts ? ((const float *)step->bind[BACK_DPROB].data)[t] : 0;
    route_slopes(probs, share, p->aux, chosen, dprob, dz, p->experts);
    route_row(dz, step->bind[BACK_GATE].data, (float *)step->bind[BACK_DX].data + (size_t)t * p->width, p->experts,
              p->width);
  }
}

#define moe_gather_forward {"moe/gather_forward", gather_plan, gather_tiles, gather_tile}
#define moe_activation_backward {"moe/activation_backward", slope_plan, slope_tiles, slope_tile}
#define moe_route_backward {"moe/route_backward", route_back_plan, route_back_tiles, route_back_tile}
