/* attention/query_backward and attention/key_backward: blocks of queries times blocks of keys, never all scores at once. */
#include "attention_block.h"

typedef struct {
  uint32_t rows, heads, head_size, time;
  float scale;
} AttentionBackParams;

enum { QUERY_QKV, QUERY_Y, QUERY_DY, QUERY_DQKV, QUERY_STATS };
enum { KEY_QKV, KEY_DY, KEY_STATS, KEY_DQKV };

/* A tile: rows [row, row + n) of the sequence [first, end), in head h. */
typedef struct {
  uint32_t first, end, row, n, h;
} Part;

static uint32_t parts_of(const AttentionBackParams *p) { return ceil_div(p->time, SIDE); }

static uint32_t attention_back_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  (void)phase, (void)worker;
  return p->time ? ceil_div(p->rows, p->time) * p->heads * parts_of(p) : 0;
}

static Part part_of(const AttentionBackParams *p, uint32_t tile) {
  const uint32_t parts = parts_of(p), first = tile / parts / p->heads * p->time;
  const uint32_t end = min_u32(p->rows, first + p->time), row = first + tile % parts * SIDE;
  return (Part){first, end, row, row < end ? min_u32(SIDE, end - row) : 0, tile / parts % p->heads};
}

static void query_plan(const Step *step, Plan *plan) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const uint64_t values = (uint64_t)p->rows * p->heads * p->head_size, size = p->head_size;
  plan->need[QUERY_QKV] = plan->need[QUERY_DQKV] = 3 * values;
  plan->need[QUERY_Y] = plan->need[QUERY_DY] = values;
  plan->need[QUERY_STATS] = 2ull * p->rows * p->heads;
  plan->phases = 1;
  plan->each = 4 * (SIDE * (padded(size) + 2 * SIDE + 3) + 2 * packed_floats(size) + panel_floats(size));
}

static void query_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const Part part = part_of(p, tile);
  const uint32_t size = p->head_size, wide = padded(size);
  const size_t width = (size_t)p->heads * size, stride = 3 * width, at = part.row * width + part.h * size;
  const float *qkv = (const float *)step->bind[QUERY_QKV].data + part.h * size;
  const float *y = (const float *)step->bind[QUERY_Y].data + at, *dy = (const float *)step->bind[QUERY_DY].data + at;
  float *scores = (float *)worker->own, *slopes = scores + SIDE * SIDE, *sums = slopes + SIDE * SIDE;
  float *memory = sums + SIDE * wide, *panel = memory + 2 * packed_floats(size), *delta = panel + panel_floats(size);
  Packed *q = (Packed *)memory, *d = (Packed *)(memory + packed_floats(size));
  Partial *softmax = (Partial *)(delta + SIDE);
  (void)phase;
  if (!part.n) return;
  ask_rows(qkv + part.row * stride, stride, part.n, size);
  ask_rows(dy, width, part.n, size);
  ask_rows(y, width, part.n, size);
  pack_scaled(qkv + part.row * stride, stride, part.n, size, p->scale, q);
  pack_scaled(dy, width, part.n, size, 1, d);
  memset(sums, 0, 4ull * part.n * wide);
  for (uint32_t r = 0; r < part.n; r++) {
    softmax[r] = (Partial){-INFINITY, 0};
    delta[r] = dot(dy + r * width, y, r * width, size, F32);
  }
  for (uint32_t from = part.first; from < part.row + part.n; from += SIDE) {
    const uint32_t n = min_u32(SIDE, part.row + part.n - from);
    const int diagonal = from == part.row;
    const float *k = qkv + from * stride + width, *v = k + width;
    const uint32_t next = min_u32(SIDE, part.row + part.n - from - n);
    ask_rows(k + n * stride, stride, next, size);
    ask_rows(v + n * stride, stride, next, size);
    multiply_rows(q, part.n, k, stride, n, size, diagonal, panel, scores);
    multiply_rows(d, part.n, v, stride, n, size, diagonal, panel, slopes);
    for (uint32_t r = 0; r < part.n; r++) {
      float *weights = scores + r * SIDE;
      soften(weights, diagonal ? r + 1 : n, softmax + r, sums + r * wide, size);
      for (uint32_t i = 0; i < SIDE; i += VW)
        store(weights + i, load(weights + i) * (load(slopes + r * SIDE + i) - delta[r]));
    }
    add_rows(scores, part.n, k, stride, n, size, diagonal, sums);
  }
  for (uint32_t r = 0; r < part.n; r++) {
    const size_t t = part.row + r;
    float *dq = (float *)step->bind[QUERY_DQKV].data + t * stride + part.h * size;
    float *stats = (float *)step->bind[QUERY_STATS].data + 2 * (t * p->heads + part.h);
    const float scale = p->scale / softmax[r].total;
    scale_row(dq, sums + r * wide, size, scale);
    stats[0] = softmax[r].max + logf(softmax[r].total);
    stats[1] = delta[r];
  }
}

static void key_plan(const Step *step, Plan *plan) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const uint64_t values = (uint64_t)p->rows * p->heads * p->head_size, size = p->head_size;
  plan->need[KEY_QKV] = plan->need[KEY_DQKV] = 3 * values;
  plan->need[KEY_DY] = values;
  plan->need[KEY_STATS] = 2ull * p->rows * p->heads;
  plan->phases = 1;
  plan->each = 4 * (SIDE * (2 * padded(size) + 2 * SIDE + 2) + 2 * packed_floats(size) + panel_floats(size));
}

/* A block's scores [keys, queries] → probabilities, its slopes → changes of the scores; 0 where the key is not seen. */
static void key_block(float *scores, float *slopes, const float *log, const float *delta, uint32_t keys, uint32_t n,
                      int diagonal) {
  for (uint32_t s = 0; s < keys; s++)
    for (uint32_t i = 0; i < SIDE; i += VW) {
      vf weight = vexp(load(scores + s * SIDE + i) - load(log + i));
      if (i + VW > n) weight = (vf)((vi)weight & lanes_below(n > i ? n - i : 0));
      if (diagonal && s > i) weight = (vf)((vi)weight & ~lanes_below(s - i));
      store(scores + s * SIDE + i, weight);
      store(slopes + s * SIDE + i, weight * (load(slopes + s * SIDE + i) - load(delta + i)));
    }
}

static void key_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const AttentionBackParams *p = (const AttentionBackParams *)step->params;
  const Part part = part_of(p, tile);
  const uint32_t size = p->head_size, wide = padded(size);
  const size_t width = (size_t)p->heads * size, stride = 3 * width;
  const float *qkv = (const float *)step->bind[KEY_QKV].data + part.h * size;
  const float *stats = (const float *)step->bind[KEY_STATS].data + 2ull * part.h;
  float *scores = (float *)worker->own, *slopes = scores + SIDE * SIDE, *dk = slopes + SIDE * SIDE;
  float *dv = dk + SIDE * wide, *memory = dv + SIDE * wide, *panel = memory + 2 * packed_floats(size);
  float *log = panel + panel_floats(size), *delta = log + SIDE;
  Packed *k = (Packed *)memory, *v = (Packed *)(memory + packed_floats(size));
  (void)phase;
  if (!part.n) return;
  ask_rows(qkv + part.row * stride + width, stride, part.n, size);
  ask_rows(qkv + part.row * stride + 2 * width, stride, part.n, size);
  pack_scaled(qkv + part.row * stride + width, stride, part.n, size, p->scale, k);
  pack_scaled(qkv + part.row * stride + 2 * width, stride, part.n, size, 1, v);
  memset(dk, 0, 8ull * SIDE * wide);
  memset(log, 0, 8ull * SIDE);
  for (uint32_t from = part.row; from < part.end; from += SIDE) {
    const uint32_t n = min_u32(SIDE, part.end - from);
    const int diagonal = from == part.row ? -1 : 0;
    const float *q = qkv + from * stride, *dy = (const float *)step->bind[KEY_DY].data + from * width + part.h * size;
    const uint32_t next = min_u32(SIDE, part.end - from - n);
    ask_rows(q + n * stride, stride, next, size);
    ask_rows(dy + n * width, width, next, size);
    for (uint32_t i = 0; i < n; i++) {
      log[i] = stats[2 * (from + i) * (size_t)p->heads];
      delta[i] = stats[2 * (from + i) * (size_t)p->heads + 1];
    }
    multiply_rows(k, part.n, q, stride, n, size, diagonal, panel, scores);
    multiply_rows(v, part.n, dy, width, n, size, diagonal, panel, slopes);
    key_block(scores, slopes, log, delta, part.n, n, diagonal);
    add_rows(scores, part.n, dy, width, n, size, diagonal, dv);
    add_rows(slopes, part.n, q, stride, n, size, diagonal, dk);
  }
  for (uint32_t r = 0; r < part.n; r++) {
    float *to = (float *)step->bind[KEY_DQKV].data + (part.row + r) * stride + width + part.h * size;
    scale_row(to, dk + r * wide, size, p->scale);
    scale_row(to + width, dv + r * wide, size, 1);
  }
}

#define attention_query_backward {"attention/query_backward", query_plan, attention_back_tiles, query_tile}
#define attention_key_backward {"attention/key_backward", key_plan, attention_back_tiles, key_tile}
