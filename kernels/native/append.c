/* attention/append_forward: the keys and values of new rows into the cache. */
#include "vector.h"

typedef struct {
  uint32_t rows, heads, head_size, context;
} AppendParams;

enum { APPEND_QKV, APPEND_SEQ, APPEND_POS, APPEND_K, APPEND_V };

static void append_plan(const Step *step, Plan *plan) {
  const AppendParams *p = (const AppendParams *)step->params;
  const uint64_t width = (uint64_t)p->heads * p->head_size;
  plan->need[APPEND_QKV] = p->rows * 3 * width;
  plan->need[APPEND_SEQ] = plan->need[APPEND_POS] = p->rows;
  plan->need[APPEND_K] = plan->need[APPEND_V] = width * p->context;
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
  if (pos >= p->context || (seq + 1ull) * width * p->context > (k < v ? k : v)) return;
  for (uint32_t h = 0; h < p->heads; h++) {
    const size_t to = (((size_t)seq * p->heads + h) * p->context + pos) * size;
    memcpy((float *)step->bind[APPEND_K].data + to, row + width + h * size, 4 * size);
    memcpy((float *)step->bind[APPEND_V].data + to, row + 2 * width + h * size, 4 * size);
  }
}

#define attention_append_forward {"attention/append_forward", append_plan, append_tiles, append_tile}
