/* moe/route_forward: the best expert of each row and its probability. moe/order_forward: rows sorted by expert. */
#include "vector.h"

typedef struct {
  uint32_t rows, width, experts, at;
} RouteParams;

typedef struct {
  uint32_t rows, experts, at;
} OrderParams;

enum { ROUTE_X, ROUTE_GATE, ROUTE_EXPERT, ROUTE_PROB };
enum { ORDER_EXPERT, ORDER_ORDER, ORDER_START };

/* Rows of one tile. */
enum { ROUTE_ROWS = 4 };

static void route_plan(const Step *step, Plan *plan) {
  const RouteParams *p = (const RouteParams *)step->params;
  plan->need[ROUTE_X] = (uint64_t)p->rows * p->width;
  plan->need[ROUTE_GATE] = (uint64_t)p->experts * p->width;
  plan->need[ROUTE_EXPERT] = plan->need[ROUTE_PROB] = (uint64_t)p->at + p->rows;
  plan->phases = 1;
  plan->each = 4ull * p->experts;
}

static uint32_t route_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const RouteParams *p = (const RouteParams *)step->params;
  (void)phase, (void)worker;
  return ceil_div(p->rows, ROUTE_ROWS);
}

static void route_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const RouteParams *p = (const RouteParams *)step->params;
  float *logits = (float *)worker->own;
  (void)phase;
  for (uint32_t t = tile * ROUTE_ROWS; t < min_u32(p->rows, (tile + 1) * ROUTE_ROWS); t++) {
    const float *x = (const float *)step->bind[ROUTE_X].data + (size_t)t * p->width;
    uint32_t best = 0;
    for (uint32_t e = 0; e < p->experts; e++) {
      logits[e] = dot(x, step->bind[ROUTE_GATE].data, (size_t)e * p->width, p->width, F32);
      if (logits[e] > logits[best]) best = e;
    }
    float total = 0;
    for (uint32_t e = 0; e < p->experts; e++) total += expf(logits[e] - logits[best]);
    ((uint32_t *)step->bind[ROUTE_EXPERT].data)[p->at + t] = best;
    ((float *)step->bind[ROUTE_PROB].data)[p->at + t] = 1.0f / total;
  }
}

static void order_plan(const Step *step, Plan *plan) {
  const OrderParams *p = (const OrderParams *)step->params;
  plan->need[ORDER_EXPERT] = (uint64_t)p->at + p->rows;
  plan->need[ORDER_ORDER] = p->rows;
  plan->need[ORDER_START] = p->experts + 1ull;
  plan->phases = 1;
}

static uint32_t order_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)step, (void)phase, (void)worker;
  return 1;
}

/* A stable counting sort. start[e] first counts, then becomes the next free place of e, and is shifted back at the end. */
static void order_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const OrderParams *p = (const OrderParams *)step->params;
  const uint32_t *expert = (const uint32_t *)step->bind[ORDER_EXPERT].data + p->at;
  uint32_t *order = step->bind[ORDER_ORDER].data, *start = step->bind[ORDER_START].data;
  (void)phase, (void)tile, (void)worker;
  memset(start, 0, 4 * (p->experts + 1ull));
  for (uint32_t t = 0; t < p->rows; t++)
    if (expert[t] < p->experts) start[expert[t]]++;
  uint32_t next = 0;
  for (uint32_t e = 0; e < p->experts; e++) {
    const uint32_t rows = start[e];
    start[e] = next;
    next += rows;
  }
  for (uint32_t t = 0; t < p->rows; t++)
    if (expert[t] < p->experts) order[start[expert[t]]++] = t;
  for (uint32_t e = p->experts; e > 0; e--) start[e] = start[e - 1];
  start[0] = 0;
}

#define moe_route_forward {"moe/route_forward", route_plan, route_tiles, route_tile}
#define moe_order_forward {"moe/order_forward", order_plan, order_tiles, order_tile}
