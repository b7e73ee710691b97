/* loss/cross_entropy_backward: each row's loss, and its logits turned into their gradient where they lie. */
#include "vector.h"
#include <float.h>

typedef struct {
  uint32_t rows, vocabulary, at;
  float scale;
} LossParams;

enum { LOSS_TARGETS, LOSS_LOGITS, LOSS_NLL };

/* Logits that become exponentials relative to their own maximum while they are in L1. */
enum { LOSS_BLOCK = 2048 };

static void loss_plan(const Step *step, Plan *plan) {
  const LossParams *p = (const LossParams *)step->params;
  plan->need[LOSS_TARGETS] = plan->need[LOSS_NLL] = (uint64_t)p->at + p->rows;
  plan->need[LOSS_LOGITS] = (uint64_t)p->rows * p->vocabulary;
  plan->phases = 1;
  plan->each = 4ull * ceil_div(p->vocabulary, LOSS_BLOCK);
}

static uint32_t loss_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const LossParams *)step->params)->rows;
}

/*
 * z → e^(z − max) in place, for the largest z, which is returned; their sum. A block of nothing but −∞ weighs nothing.
 * vexp makes a number of everything: NaN is looked for apart, and makes the sum NaN.
 */
static float exponentiate_block(float *z, uint32_t count, float *max) {
  vf best = splat(-FLT_MAX), total[2] = {0};
  vi nan = {0};
  uint32_t i = 0;
  for (; i + VW <= count; i += VW) best = vmax(best, load(z + i));
  float highest = maximum(best);
  for (; i < count; i++) highest = z[i] > highest ? z[i] : highest;
  for (i = 0; i + 2 * VW <= count; i += 2 * VW)
    UNROLL
    for (uint32_t j = 0; j < 2; j++) {
      const vf d = load(z + i + j * VW) - highest, e = vexp(d);
      nan |= d != d;
      store(z + i + j * VW, e);
      total[j] += e;
    }
  float rest = 0;
  for (; i < count; i += VW) {
    const uint32_t n = min_u32(VW, count - i);
    const vf d = load_up_to(z + i, n) - highest, e = vexp(d);
    nan |= d != d;
    store_up_to(z + i, e, n);
    for (uint32_t j = 0; j < n; j++) rest += e[j];
  }
  *max = highest;
  for (uint32_t j = 0; j < VW; j++)
    if (nan[j]) return NAN;
  return sum(total[0] + total[1]) + rest;
}

static void loss_tile(const Step *step, uint32_t phase, uint32_t t, const Worker *worker) {
  const LossParams *p = (const LossParams *)step->params;
  const uint32_t vocabulary = p->vocabulary, target = ((const uint32_t *)step->bind[LOSS_TARGETS].data)[p->at + t];
  float *z = (float *)step->bind[LOSS_LOGITS].data + (size_t)t * vocabulary, *highest = (float *)worker->own;
  float *nll = (float *)step->bind[LOSS_NLL].data + p->at + t;
  (void)phase;
  if (target >= vocabulary) {
    memset(z, 0, 4ull * vocabulary);
    *nll = 0;
    return;
  }
  const float wanted = z[target];
  float max = -FLT_MAX, total = 0;
  for (uint32_t from = 0, b = 0; from < vocabulary; from += LOSS_BLOCK, b++) {
    const float part = exponentiate_block(z + from, min_u32(LOSS_BLOCK, vocabulary - from), highest + b);
    if (highest[b] > max) {
      total = total * expf(max - highest[b]) + part;
      max = highest[b];
    } else {
      total += part * expf(highest[b] - max);
    }
  }
  *nll = logf(total) + (max - wanted);
  for (uint32_t from = 0, b = 0; from < vocabulary; from += LOSS_BLOCK, b++) {
    const float factor = p->scale * expf(highest[b] - max) / total;
    const uint32_t count = min_u32(LOSS_BLOCK, vocabulary - from);
    for (uint32_t i = 0; i < count; i += VW)
      store_up_to(z + from + i, load_up_to(z + from + i, count - i) * factor, count - i);
  }
  z[target] -= p->scale;
}

#define loss_cross_entropy_backward {"loss/cross_entropy_backward", loss_plan, loss_tiles, loss_tile}
