/*
 * attention/attention_forward: causal attention of new rows over the keys and values of a cache, or of the rows themselves;
 * attention/attention_compact_forward: over those of a compact cache.
 */
#include "attention_block.h"

/* How keys and values lie: in an f32 cache, as rows of queries, keys and values, or in a cache of so many bits a channel. */
enum { IN_CACHE, IN_ROWS, IN_HALVES = 16, IN_CODES = 8 };

typedef struct {
  uint32_t rows, heads, head_size, context, lie;
  float scale;
} AttentionParams;

enum { ATTENTION_QKV, ATTENTION_SEQ, ATTENTION_POS, ATTENTION_K, ATTENTION_V, ATTENTION_Y };

/* Up to FEW rows, each row's keys are cut into SPLIT at a time, whose partial results a second phase joins. */
enum { FEW = 8, SPLIT = 256 };

static const uint32_t *sequence(const Step *step) { return step->bind[ATTENTION_SEQ].data; }
static const uint32_t *position(const Step *step) { return step->bind[ATTENTION_POS].data; }

/* A few rows of a cache; new rows that hold their keys themselves are many. */
static int is_few(const AttentionParams *p) { return p->rows <= FEW && p->lie != IN_ROWS; }

/* Elements of one key: of the row that holds it, or of what is compact. */
static uint32_t key_size(const AttentionParams *p) {
  if (p->lie == IN_HALVES || p->lie == IN_CODES) return compact_words(p->lie, p->head_size);
  return p->head_size * (p->lie == IN_ROWS ? 3 : 1);
}

/* Elements of k that one sequence takes. */
static uint64_t sequence_size(const AttentionParams *p) { return (uint64_t)p->heads * p->context * key_size(p); }

/* Keys that row t sees; none if its sequence or position is outside the cache. */
static uint32_t visible(const Step *step, uint32_t t) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  const uint64_t held = sequence_size(p);
  const uint64_t k = step->bind[ATTENTION_K].count, v = step->bind[ATTENTION_V].count;
  const uint32_t pos = position(step)[t];
  return pos < p->context && (sequence(step)[t] + 1ull) * held <= (k < v ? k : v) ? pos + 1 : 0;
}

/* Keys (part 1) or values (2) of row t's sequence, in head h. */
static Rows cached(const Step *step, uint32_t part, uint32_t t, uint32_t h) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  const float *data = step->bind[part == 1 ? ATTENTION_K : ATTENTION_V].data;
  data += sequence(step)[t] * sequence_size(p);
  const size_t width = (size_t)p->heads * p->head_size, head = (size_t)h * p->context * key_size(p);
  if (p->lie == IN_ROWS) return (Rows){data + part * width + (size_t)h * p->head_size, 3 * width};
  return (Rows){data + head, key_size(p), p->lie};
}

/* Floats of one partial result: maximum, total, values. */
static uint32_t partial_floats(const AttentionParams *p) { return PANEL + padded(p->head_size); }

static void attention_plan(const Step *step, Plan *plan) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  const uint64_t width = (uint64_t)p->heads * p->head_size;
  plan->need[ATTENTION_QKV] = p->rows * 3 * width;
  plan->need[ATTENTION_SEQ] = plan->need[ATTENTION_POS] = p->rows;
  plan->need[ATTENTION_K] = plan->need[ATTENTION_V] = sequence_size(p);
  plan->need[ATTENTION_Y] = p->rows * width;
  plan->phases = 1;
  plan->each = 4 * (is_few(p) ? row_floats(p->head_size) : block_floats(p->head_size));
  if (is_few(p)) {
    plan->phases = 2;
    plan->shared = 64 + 4ull * p->rows * p->heads * ceil_div(p->context, SPLIT) * partial_floats(p);
  }
}

static uint32_t attention_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  if (!is_few(p)) return p->heads * ceil_div(p->rows, run_rows(p->rows, p->heads, worker->threads));
  uint32_t *splits = (uint32_t *)worker->shared;
  if (phase == 0) {
    *splits = 1;
    for (uint32_t t = 0; t < p->rows; t++) *splits = max_u32(*splits, ceil_div(visible(step, t), SPLIT));
    return p->rows * p->heads * *splits;
  }
  return p->rows * p->heads;
}

static void split_tile(const Step *step, uint32_t tile, const Worker *worker) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  const uint32_t splits = *(const uint32_t *)worker->shared, size = p->head_size;
  const uint32_t split = tile % splits, h = tile / splits % p->heads, t = tile / splits / p->heads;
  const uint32_t k1 = min_u32(visible(step, t), (split + 1) * SPLIT);
  float *partial = (float *)(worker->shared + 64) + (size_t)tile * partial_floats(p), *values = partial + PANEL;
  memset(values, 0, 4ull * padded(size));
  const float *q = (const float *)step->bind[ATTENTION_QKV].data + ((size_t)t * 3 * p->heads + h) * size;
  const Partial part = attend_row(q, cached(step, 1, t, h), cached(step, 2, t, h), split * SPLIT, k1, size, p->scale,
                                  (float *)worker->own, values);
  partial[0] = part.max;
  partial[1] = part.total;
}

static void join_tile(const Step *step, uint32_t tile, const Worker *worker) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  const uint32_t splits = *(const uint32_t *)worker->shared, each = partial_floats(p);
  const float *partial = (const float *)(worker->shared + 64) + (size_t)tile * splits * each;
  float *y = (float *)step->bind[ATTENTION_Y].data + (size_t)tile * p->head_size;
  float max = partial[0], total = 0;
  for (uint32_t s = 1; s < splits; s++) max = partial[s * each] > max ? partial[s * each] : max;
  for (uint32_t s = 0; s < splits; s++) {
    const float *part = partial + s * each;
    const float weight = part[1] > 0 ? expf(part[0] - max) : 0;
    total += weight * part[1];
    for (uint32_t d = 0; d < p->head_size; d++) y[d] = (s ? y[d] : 0) + weight * part[PANEL + d];
  }
  for (uint32_t d = 0; d < p->head_size; d++) y[d] = total > 0 ? y[d] / total : 0;
}

static void attention_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const AttentionParams *p = (const AttentionParams *)step->params;
  if (is_few(p)) {
    if (phase == 0) split_tile(step, tile, worker);
    else join_tile(step, tile, worker);
    return;
  }
  const uint32_t size = p->head_size, width = p->heads * size, h = tile % p->heads;
  const uint32_t run = run_rows(p->rows, p->heads, worker->threads);
  const uint32_t end = min_u32(p->rows, (tile / p->heads + 1) * run);
  float *y = (float *)step->bind[ATTENTION_Y].data + (size_t)h * size;
  for (uint32_t t = tile / p->heads * run, rows; t < end; t += rows) {
    for (rows = 1; t + rows < end && sequence(step)[t + rows] == sequence(step)[t]; rows++);
    if (!visible(step, t + rows - 1)) continue;
    const Rows q = {(const float *)step->bind[ATTENTION_QKV].data + ((size_t)t * 3 * p->heads + h) * size, 3 * width};
    attend_block(q, cached(step, 1, t, h), cached(step, 2, t, h), position(step) + t, rows, size, p->scale,
                 y + (size_t)t * width, width, (float *)worker->own);
  }
}

#define attention_attention_forward {"attention/attention_forward", attention_plan, attention_tiles, attention_tile}
#define attention_attention_compact_forward \
  {"attention/attention_compact_forward", attention_plan, attention_tiles, attention_tile}
