/* What the router does in training: moe/gate_forward, moe/balance_forward, moe/drop_forward. */
#include "attention_row.h"
#include "philox.h"
#include <stdlib.h>

typedef struct {
  uint32_t rows, width, experts, at;
} GateParams;

typedef struct {
  uint32_t rows, experts, at, to;
} BalanceParams;

typedef struct {
  uint32_t rows, experts, at, capacity, random, seed_low, seed_high, stream;
} DropParams;

enum { GATE_X, GATE_GATE, GATE_PROBS, GATE_EXPERT, GATE_PROB };
enum { BALANCE_PROBS, BALANCE_EXPERT, BALANCE_BALANCE };
enum { DROP_EXPERT, DROP_KEPT };

/* Rows of one tile. */
enum { GATE_ROWS = 16 };

static void gate_plan(const Step *step, Plan *plan) {
  const GateParams *p = (const GateParams *)step->params;
  plan->need[GATE_X] = (uint64_t)p->rows * p->width;
  plan->need[GATE_GATE] = (uint64_t)p->experts * p->width;
  plan->need[GATE_PROBS] = (uint64_t)p->rows * p->experts;
  plan->need[GATE_EXPERT] = plan->need[GATE_PROB] = (uint64_t)p->at + p->rows;
  plan->phases = 1;
  plan->each = 4ull * ceil_div(p->experts, KEYS) * KEYS;
}

static uint32_t gate_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const GateParams *)step->params)->rows, GATE_ROWS);
}

static void gate_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const GateParams *p = (const GateParams *)step->params;
  const uint32_t experts = p->experts;
  const float *gate = step->bind[GATE_GATE].data;
  float *logits = (float *)worker->own;
  (void)phase;
  for (uint32_t t = tile * GATE_ROWS; t < min_u32(p->rows, (tile + 1) * GATE_ROWS); t++) {
    const float *x = (const float *)step->bind[GATE_X].data + (size_t)t * p->width;
    float *probs = (float *)step->bind[GATE_PROBS].data + (size_t)t * experts;
    for (uint32_t e = 0; e < experts; e += KEYS)
      score_keys(x, gate + (size_t)e * p->width, min_u32(KEYS, experts - e), p->width, 1, -INFINITY, logits + e);
    uint32_t best = 0;
    for (uint32_t e = 1; e < experts; e++)
      if (logits[e] > logits[best]) best = e;
    const float max = logits[best];
    vf totals = {0};
    for (uint32_t e = 0; e < experts; e += VW) {
      vf w = vexp(load(logits + e) - max);
      if (e + VW > experts) w = (vf)((vi)w & lanes_below(experts - e));
      store(logits + e, w);
      totals += w;
    }
    const float scale = 1.0f / sum(totals);
    for (uint32_t e = 0; e < experts; e += VW) store_up_to(probs + e, load(logits + e) * scale, experts - e);
    ((uint32_t *)step->bind[GATE_EXPERT].data)[p->at + t] = best;
    ((float *)step->bind[GATE_PROB].data)[p->at + t] = scale;
  }
}

static void balance_plan(const Step *step, Plan *plan) {
  const BalanceParams *p = (const BalanceParams *)step->params;
  plan->need[BALANCE_PROBS] = (uint64_t)p->rows * p->experts;
  plan->need[BALANCE_EXPERT] = (uint64_t)p->at + p->rows;
  plan->need[BALANCE_BALANCE] = p->to + 2ull * p->experts;
  plan->phases = 1;
}

static uint32_t balance_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const BalanceParams *)step->params)->experts, VW);
}

/* A vector of experts over all rows: the table is small. */
static void balance_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const BalanceParams *p = (const BalanceParams *)step->params;
  const uint32_t first = tile * VW, n = min_u32(VW, p->experts - first);
  const float *probs = (const float *)step->bind[BALANCE_PROBS].data + first;
  const uint32_t *expert = (const uint32_t *)step->bind[BALANCE_EXPERT].data + p->at;
  float *balance = (float *)step->bind[BALANCE_BALANCE].data + p->to + first;
  uint32_t count[VW] = {0};
  vf sums = {0};
  (void)phase, (void)worker;
  for (uint32_t t = 0; t < p->rows; t++) {
    sums += load_up_to(probs + (size_t)t * p->experts, n);
    if (expert[t] - first < n) count[expert[t] - first]++;
  }
  for (uint32_t e = 0; e < n; e++) {
    balance[e] = sums[e] / p->rows;
    balance[p->experts + e] = (float)count[e] / p->rows;
  }
}

static void drop_plan(const Step *step, Plan *plan) {
  const DropParams *p = (const DropParams *)step->params;
  plan->need[DROP_EXPERT] = plan->need[DROP_KEPT] = (uint64_t)p->at + p->rows;
  plan->phases = 1;
  plan->each = 8ull * p->rows;
}

static uint32_t drop_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const DropParams *)step->params)->experts;
}

static int by_value(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* One expert's rows. Keys sort by falling priority, then by rising row, which is their low half. */
static void drop_tile(const Step *step, uint32_t phase, uint32_t e, const Worker *worker) {
  const DropParams *p = (const DropParams *)step->params;
  const uint32_t *expert = (const uint32_t *)step->bind[DROP_EXPERT].data + p->at;
  uint32_t *kept = (uint32_t *)step->bind[DROP_KEPT].data + p->at, n = 0;
  uint64_t *keys = (uint64_t *)worker->own;
  (void)phase;
  for (uint32_t t = 0; t < p->rows; t++)
    if (expert[t] == e) keys[n++] = t;
  if (p->random && n > p->capacity) {
    for (uint32_t i = 0; i < n; i++)
      keys[i] |= (uint64_t)~philox(p->seed_low, p->seed_high, p->at + (uint32_t)keys[i], p->stream) << 32;
    qsort(keys, n, sizeof *keys, by_value);
  }
  for (uint32_t i = 0; i < n; i++) kept[(uint32_t)keys[i]] = i < p->capacity ? e : p->experts;
}

#define moe_gate_forward {"moe/gate_forward", gate_plan, gate_tiles, gate_tile}
#define moe_balance_forward {"moe/balance_forward", balance_plan, balance_tiles, balance_tile}
#define moe_drop_forward {"moe/drop_forward", drop_plan, drop_tiles, drop_tile}
