/* attention/query_backward and attention/key_backward: blocks of queries times blocks of keys, never all scores at once. */
#include "attention_block.h"

typedef struct {
  uint32_t rows, heads, head_size, time;
  float scale;
} AttentionBackParams;

enum { QUERY_QKV, QUERY_Y, QUERY_DY, QUERY_DQKV, QUERY_STATS };
enum { KEY_QKV, KEY_DY, KEY_STATS, KEY_DQKV };

/* A tile: rows [row, row + n) of a sequence of `end` rows, in one head. All rows are the sequence's, from its first. */
typedef struct {
  Rows q, k, v, dy;
  float *dqkv, *stats; /* its row's part of this head; pairs, `heads` of them a row */
  uint32_t row, n, end, heads, size;
  float scale;
} Part;

#ifdef TILES
#include "attention_backward_bf16.h"
#else
#include "attention_backward_f32.h"
#endif

static uint32_t rows_of_part(const AttentionBackParams *p, uint32_t threads) {
  return run_rows(p->time, ceil_div(p->rows, p->time) * p->heads, threads);
}

static uint32_t attention_back_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  (void)phase;
  if (!p->time) return 0;
  return ceil_div(p->rows, p->time) * p->heads * ceil_div(p->time, rows_of_part(p, worker->threads));
}

/* dy, dqkv and stats: of all rows. */
static Part part_of(const Step *step, uint32_t tile, uint32_t threads, const float *dy, float *dqkv, float *stats) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const uint32_t run = rows_of_part(p, threads), parts = ceil_div(p->time, run);
  const uint32_t first = tile / parts / p->heads * p->time, h = tile / parts % p->heads, row = tile % parts * run;
  const size_t width = (size_t)p->heads * p->head_size, at = first * 3 * width + h * p->head_size;
  const Rows q = {(const float *)step->bind[QUERY_QKV].data + at, 3 * width};
  Part part = {.q = q, .k = {q.x + width, q.stride}, .v = {q.x + 2 * width, q.stride}, .row = row, .heads = p->heads};
  part.dy = (Rows){dy + first * width + h * p->head_size, width};
  part.dqkv = dqkv + at;
  part.stats = stats + 2 * ((size_t)first * p->heads + h);
  part.end = min_u32(p->rows - first, p->time);
  part.n = row < part.end ? min_u32(run, part.end - row) : 0;
  part.size = p->head_size;
  part.scale = p->scale;
  return part;
}

static void query_plan(const Step *step, Plan *plan) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const uint64_t values = (uint64_t)p->rows * p->heads * p->head_size;
  plan->need[QUERY_QKV] = plan->need[QUERY_DQKV] = 3 * values;
  plan->need[QUERY_Y] = plan->need[QUERY_DY] = values;
  plan->need[QUERY_STATS] = 2ull * p->rows * p->heads;
  plan->phases = 1;
  plan->each = 4 * query_floats(p->head_size);
}

static void query_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const float *dy = step->bind[QUERY_DY].data;
  const Part part = part_of(step, tile, worker->threads, dy, step->bind[QUERY_DQKV].data, step->bind[QUERY_STATS].data);
  (void)phase;
  if (!part.n) return;
  const Rows y = {(const float *)step->bind[QUERY_Y].data + (part.dy.x - dy), part.dy.stride};
  query_part(&part, y, (float *)worker->own);
}

static void key_plan(const Step *step, Plan *plan) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const uint64_t values = (uint64_t)p->rows * p->heads * p->head_size;
  plan->need[KEY_QKV] = plan->need[KEY_DQKV] = 3 * values;
  plan->need[KEY_DY] = values;
  plan->need[KEY_STATS] = 2ull * p->rows * p->heads;
  plan->phases = 1;
  plan->each = 4 * key_floats(p->head_size);
}

static void key_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const Part part = part_of(step, tile, worker->threads, step->bind[KEY_DY].data, step->bind[KEY_DQKV].data,
                            step->bind[KEY_STATS].data);
  (void)phase;
  if (part.n) key_part(&part, (float *)worker->own);
}

#define attention_query_backward {"attention/query_backward", query_plan, attention_back_tiles, query_tile}
#define attention_key_backward {"attention/key_backward", key_plan, attention_back_tiles, key_tile}
