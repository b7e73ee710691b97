/* sample/sample_forward: draws each row's next token; see the twin for the order of the filters. */
#include "philox.h"

typedef struct {
  uint32_t rows, vocabulary, allowed, top_k;
  float temperature, top_p, min_p, penalty;
  uint32_t seed_low, seed_high, stream;
} SampleParams;

enum { SAMPLE_LOGITS, SAMPLE_SEEN, SAMPLE_TOKEN, SAMPLE_POS, SAMPLE_LOGPROB };

/* Scores are at most 0, so the bits of their magnitude order them: the best has key 0. */
static uint32_t key_of(float score) {
  uint32_t bits;
  memcpy(&bits, &score, 4);
  return bits & 0x7fffffff;
}

/*
 * The least key such that the scores with keys up to it (and up to `limit`) weigh `target` or more; without weights each
 * counts 1. A radix search over the bits of the key.
 */
static uint32_t weigh(const float *scores, const float *weights, uint32_t n, uint32_t limit, double target) {
  enum { DIGIT = 8, BUCKETS = 1 << DIGIT };
  uint32_t prefix = 0;
  for (int shift = 32 - DIGIT; shift >= 0; shift -= DIGIT) {
    double mass[BUCKETS] = {0};
    for (uint32_t v = 0; v < n; v++) {
      const uint32_t key = key_of(scores[v]);
      if (key <= limit && (uint64_t)key >> (shift + DIGIT) == (uint64_t)prefix >> (shift + DIGIT))
        mass[key >> shift & (BUCKETS - 1)] += weights ? weights[v] : 1.0;
    }
    uint32_t found = 0;
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
      if (mass[bucket] == 0) continue;
      found = bucket;
      if (mass[bucket] >= target) break;
      target -= mass[bucket];
    }
    prefix |= found << shift;
  }
  return prefix;
}

/* weights[i] = e^(scores[i] − shift) for i in [0, n); returns their sum. */
static double exponentiate(const float *scores, float *weights, uint32_t n, float shift) {
  double total = 0;
  for (uint32_t i = 0; i < n; i += VW) {
    const uint32_t m = min_u32(VW, n - i);
    vf w = vexp((m == VW ? load(scores + i) : load_part(scores + i, m)) - shift);
    store_part(weights + i, w, m);
    for (uint32_t j = 0; j < m; j++) total += w[j];
  }
  return total;
}

static void sample_plan(const Step *step, Plan *plan) {
  const SampleParams *p = (const SampleParams *)step->params;
  plan->need[SAMPLE_LOGITS] = plan->need[SAMPLE_SEEN] = (uint64_t)p->rows * p->vocabulary;
  plan->need[SAMPLE_TOKEN] = plan->need[SAMPLE_POS] = plan->need[SAMPLE_LOGPROB] = p->rows;
  plan->phases = 1;
  plan->each = 8ull * p->vocabulary;
}

static uint32_t sample_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const SampleParams *)step->params)->rows;
}

/* The token drawn from scores relative to the best; `weights` is working memory. */
static uint32_t draw(const SampleParams *p, float *scores, float *weights, uint32_t n, uint32_t best, float unit) {
  uint32_t kept = 0x7fffffff, choice = best;
  if (p->top_k > 0 && p->top_k < n) kept = weigh(scores, 0, n, kept, p->top_k);
  double total = exponentiate(scores, weights, n, 0);
  if (p->top_p < 1) {
    total = 0;
    for (uint32_t v = 0; v < n; v++) total += key_of(scores[v]) <= kept ? weights[v] : 0;
    kept = weigh(scores, weights, n, kept, p->top_p * total);
  }
  if (p->min_p > 0) kept = min_u32(kept, key_of(logf(p->min_p)));
  total = 0;
  for (uint32_t v = 0; v < n; v++) total += key_of(scores[v]) <= kept ? weights[v] : 0;
  double rest = unit * total;
  for (uint32_t v = 0; v < n && rest >= 0; v++) {
    if (key_of(scores[v]) > kept) continue;
    choice = v;
    rest -= weights[v];
  }
  return choice;
}

static void sample_tile(const Step *step, uint32_t phase, uint32_t b, const Worker *worker) {
  const SampleParams *p = (const SampleParams *)step->params;
  const uint32_t n = min_u32(p->allowed, p->vocabulary);
  const float *logits = (const float *)step->bind[SAMPLE_LOGITS].data + (size_t)b * p->vocabulary;
  uint32_t *seen = (uint32_t *)step->bind[SAMPLE_SEEN].data + (size_t)b * p->vocabulary;
  uint32_t *pos = (uint32_t *)step->bind[SAMPLE_POS].data + b;
  float *scores = (float *)worker->own, *weights = scores + p->vocabulary;
  (void)phase;
  uint32_t choice = 0;
  for (uint32_t v = 0; v < n; v++) {
    const float z = logits[v];
    scores[v] = !seen[v] ? z : z > 0 ? z / p->penalty : z * p->penalty;
    if (scores[v] > scores[choice]) choice = v;
  }
  if (p->temperature > 0 && n > 0) {
    const float best = scores[choice];
    const float unit = (philox(p->seed_low, p->seed_high, *pos, p->stream + b) >> 8) * 0x1p-24f;
    for (uint32_t v = 0; v < n; v++) scores[v] = (scores[v] - best) / p->temperature;
    choice = draw(p, scores, weights, n, choice, unit);
  }
  float max = logits[0];
  for (uint32_t v = 1; v < p->vocabulary; v++) max = logits[v] > max ? logits[v] : max;
  const double total = exponentiate(logits, weights, p->vocabulary, max);
  ((float *)step->bind[SAMPLE_LOGPROB].data)[b] = logits[choice] - max - log(total);
  ((uint32_t *)step->bind[SAMPLE_TOKEN].data)[b] = choice;
  *pos += 1;
  seen[choice] = 1;
}

#define sample_sample_forward {"sample/sample_forward", sample_plan, sample_tiles, sample_tile}
