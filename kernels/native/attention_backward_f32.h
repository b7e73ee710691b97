/* Back through attention in f32: a part is one block of queries, or of keys, against the other side's blocks. */

/* Floats of working memory. */
static inline uint64_t query_floats(uint32_t size) {
  return SIDE * (padded(size) + 2 * SIDE + 3) + 2 * packed_floats(size) + panel_floats(size);
}
static inline uint64_t key_floats(uint32_t size) {
  return SIDE * (2 * padded(size) + 2 * SIDE + 2) + 2 * packed_floats(size) + panel_floats(size);
}

/* dq and stats of the part's rows. */
static void query_part(const Part *p, Rows y, float *memory) {
  const uint32_t size = p->size, wide = padded(size), n = p->n;
  float *scores = memory, *slopes = scores + SIDE * SIDE, *sums = slopes + SIDE * SIDE;
  float *q = sums + SIDE * wide, *d = q + packed_floats(size), *panel = d + packed_floats(size);
  float *delta = panel + panel_floats(size);
  Partial *softmax = (Partial *)(delta + SIDE);
  const Rows dy = rows_from(p->dy, p->row);
  y = rows_from(y, p->row);
  ask_rows(rows_from(p->q, p->row), n, size);
  ask_rows(dy, n, size);
  ask_rows(y, n, size);
  pack_scaled(rows_from(p->q, p->row), n, size, p->scale, q);
  pack_scaled(dy, n, size, 1, d);
  memset(sums, 0, 4ull * n * wide);
  for (uint32_t r = 0; r < n; r++) {
    softmax[r] = (Partial){-INFINITY, 0};
    delta[r] = dot(rows_from(dy, r).x, rows_from(y, r).x, 0, size, F32);
  }
  for (uint32_t from = 0; from < p->row + n; from += SIDE) {
    const uint32_t keys = min_u32(SIDE, p->row + n - from), next = min_u32(SIDE, p->row + n - from - keys);
    const int diagonal = from == p->row;
    const Rows k = rows_from(p->k, from), v = rows_from(p->v, from);
    ask_rows(rows_from(k, keys), next, size);
    ask_rows(rows_from(v, keys), next, size);
    multiply_rows(q, n, k, keys, size, diagonal, panel, scores);
    multiply_rows(d, n, v, keys, size, diagonal, panel, slopes);
    for (uint32_t r = 0; r < n; r++) {
      float *weights = scores + r * SIDE;
      soften(weights, diagonal ? r + 1 : keys, softmax + r, sums + r * wide, size);
      for (uint32_t i = 0; i < SIDE; i += VW)
        store(weights + i, load(weights + i) * (load(slopes + r * SIDE + i) - delta[r]));
    }
    add_rows(scores, n, k, keys, size, diagonal, sums);
  }
  for (uint32_t r = 0; r < n; r++) {
    float *stats = p->stats + 2 * (size_t)(p->row + r) * p->heads;
    scale_row(p->dqkv + (p->row + r) * p->q.stride, sums + r * wide, size, p->scale / softmax[r].total);
    stats[0] = softmax[r].max + logf(softmax[r].total);
    stats[1] = delta[r];
  }
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

/* dk and dv of the part's rows. */
static void key_part(const Part *p, float *memory) {
  const uint32_t size = p->size, wide = padded(size), n = p->n;
  float *scores = memory, *slopes = scores + SIDE * SIDE, *dk = slopes + SIDE * SIDE, *dv = dk + SIDE * wide;
  float *k = dv + SIDE * wide, *v = k + packed_floats(size), *panel = v + packed_floats(size);
  float *log = panel + panel_floats(size), *delta = log + SIDE;
  ask_rows(rows_from(p->k, p->row), n, size);
  ask_rows(rows_from(p->v, p->row), n, size);
  pack_scaled(rows_from(p->k, p->row), n, size, p->scale, k);
  pack_scaled(rows_from(p->v, p->row), n, size, 1, v);
  memset(dk, 0, 8ull * SIDE * wide);
  memset(log, 0, 8ull * SIDE);
  for (uint32_t from = p->row; from < p->end; from += SIDE) {
    const uint32_t queries = min_u32(SIDE, p->end - from), next = min_u32(SIDE, p->end - from - queries);
    const int diagonal = from == p->row ? -1 : 0;
    const Rows q = rows_from(p->q, from), dy = rows_from(p->dy, from);
    ask_rows(rows_from(q, queries), next, size);
    ask_rows(rows_from(dy, queries), next, size);
    for (uint32_t i = 0; i < queries; i++) {
      log[i] = p->stats[2 * (size_t)(from + i) * p->heads];
      delta[i] = p->stats[2 * (size_t)(from + i) * p->heads + 1];
    }
    multiply_rows(k, n, q, queries, size, diagonal, panel, scores);
    multiply_rows(v, n, dy, queries, size, diagonal, panel, slopes);
    key_block(scores, slopes, log, delta, n, queries, diagonal);
    add_rows(scores, n, dy, queries, size, diagonal, dv);
    add_rows(slopes, n, q, queries, size, diagonal, dk);
  }
  for (uint32_t r = 0; r < n; r++) {
    float *to = p->dqkv + (p->row + r) * p->q.stride;
    scale_row(to + (p->k.x - p->q.x), dk + r * wide, size, p->scale);
    scale_row(to + (p->v.x - p->q.x), dv + r * wide, size, 1);
  }
}
