/* attention/append_forward, attention/append_compact_forward: the keys and values of new rows into the cache. */
#include "compact.h"

/* bits: 16 or 8 of a compact cache, else 0 behind the params, which lie in zeros. */
typedef struct {
  uint32_t rows, heads, head_size, context, bits;
} AppendParams;

enum { APPEND_QKV, APPEND_SEQ, APPEND_POS, APPEND_K, APPEND_V };

/* Elements of one key. */
static uint32_t append_size(const AppendParams *p) {
  return p->bits ? compact_words(p->bits, p->head_size) : p->head_size;
}

static void append_plan(const Step *step, Plan *plan) {
  const AppendParams *p = (const AppendParams *)step->params;
  const uint64_t width = (uint64_t)p->heads * p->head_size;
  plan->need[APPEND_QKV] = p->rows * 3 * width;
  plan->need[APPEND_SEQ] = plan->need[APPEND_POS] = p->rows;
  plan->need[APPEND_K] = plan->need[APPEND_V] = (uint64_t)p->heads * p->context * append_size(p);
  plan->phases = 1;
}

static uint32_t append_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const AppendParams *)step->params)->rows;
}

/* A row whose sequence or position is outside the cache is left out. */
static void append_tile(const Step *step, uint32_t phase, uint32_t t, const Worker *worker) {
  const AppendParams *p = (const AppendParams *)step->params;
  const size_t size = p->head_size, width = p->heads * size;
  const uint32_t seq = ((const uint32_t *)step->bind[APPEND_SEQ].data)[t];
  const uint32_t pos = ((const uint32_t *)step->bind[APPEND_POS].data)[t];
  const float *row = (const float *)step->bind[APPEND_QKV].data + t * 3 * width;
  (void)phase, (void)worker;
  const uint64_t k = step->bind[APPEND_K].count, v = step->bind[APPEND_V].count;
  if (pos >= p->context || (seq + 1ull) * p->heads * p->context * append_size(p) > (k < v ? k : v)) return;
  for (uint32_t h = 0; h < p->heads; h++) {
    const size_t to = (((size_t)seq * p->heads + h) * p->context + pos) * append_size(p);
    for (uint32_t part = 1; part <= 2; part++) {
      uint32_t *key = (uint32_t *)step->bind[part == 1 ? APPEND_K : APPEND_V].data + to;
      if (p->bits) pack_row(row + part * width + h * size, p->bits, size, key);
      else memcpy(key, row + part * width + h * size, 4 * size);
    }
  }
}

#define attention_append_forward {"attention/append_forward", append_plan, append_tiles, append_tile}
#define attention_append_compact_forward {"attention/append_compact_forward", append_plan, append_tiles, append_tile}
