/* Back through attention by tiles: a part is a run of queries against blocks of keys, or of keys against blocks of queries. */

/* Floats of working memory. */
static inline uint64_t query_floats(uint32_t size) { return run_floats(size, 1); }

/* dq and stats of the part's rows. */
static void query_part(const Part *p, Rows y, float *memory) {
  const uint32_t size = p->size, n = p->n;
  const Run r = run_in(memory, size, 1);
  const Rows q = rows_from(p->q, p->row), dy = rows_from(p->dy, p->row);
  y = rows_from(y, p->row);
  ask_rows(q, n, size);
  ask_rows(dy, n, size);
  ask_rows(y, n, size);
  pack_lines(q, n, size, 1, r.q);
  pack_lines(dy, n, size, 1, r.dy);
  for (uint32_t t = 0; t < strips(n) * LINES; t++) {
    r.delta[t] = t < n ? dot(rows_from(dy, t).x, rows_from(y, t).x, 0, size, F32) : 0;
    r.last[t] = p->row + t;
  }
  float *dq = p->dqkv + p->row * p->q.stride;
  attend_run(&r, p->k, p->v, (Rows){dq, p->q.stride}, n, size, p->scale, 1);
  for (uint32_t t = 0; t < n; t += LINES)
    store_strip(&r, t / LINES, min_u32(LINES, n - t), size, p->scale / load(r.total + t), dq + t * p->q.stride, p->q.stride);
  for (uint32_t t = 0; t < n; t++) {
    float *stats = p->stats + 2 * (size_t)(p->row + t) * p->heads;
    stats[0] = r.top[t] / log2_e + logf(r.total[t]);
    stats[1] = r.delta[t];
  }
}

/* What a run of keys works with. */
typedef struct {
  uint16_t *k, *v;                         /* of the run, as lines */
  uint16_t *q, *dy, *q_terms, *dy_terms;   /* of a block of queries, as lines and as terms */
  uint16_t *weights, *changes;             /* of PAIRED keys and a block of queries, [strip][tile] */
  float *scores, *slopes;                  /* [PAIRED, SIDE] */
  float *dk, *dv;                          /* [RUN, columns of a head] */
  float log[SIDE], delta[SIDE];            /* of a block of queries; log as an exponent of 2 */
} KeyRun;

static inline uint64_t key_floats(uint32_t size) {
  const uint64_t tiles = (2 * RUN / LINES + 2 * SIDE / LINES) * packed_line(size) +
                         (2 * strips(size) + 2 * PAIRED / LINES) * WEIGHT_LINE;
  return tiles / 2 + 2 * PAIRED * SIDE + 2 * RUN * strips(size) * LINES;
}

static void key_run_in(KeyRun *r, float *memory, uint32_t size) {
  const size_t line = packed_line(size);
  r->dk = memory;
  r->dv = r->dk + RUN * strips(size) * LINES;
  r->scores = r->dv + RUN * strips(size) * LINES;
  r->slopes = r->scores + PAIRED * SIDE;
  r->k = (uint16_t *)(r->slopes + PAIRED * SIDE);
  r->v = r->k + RUN / LINES * line;
  r->q = r->v + RUN / LINES * line;
  r->dy = r->q + SIDE / LINES * line;
  r->q_terms = r->dy + SIDE / LINES * line;
  r->dy_terms = r->q_terms + strips(size) * WEIGHT_LINE;
  r->weights = r->dy_terms + strips(size) * WEIGHT_LINE;
  r->changes = r->weights + PAIRED / LINES * WEIGHT_LINE;
}

/*
 * Scores and slopes of PAIRED keys and the queries [TERMS · first, TERMS · end) of a block → packed probabilities and changes
 * of the scores. `ahead`: by so many rows the first key comes after the first query; only queries from a key on see it.
 */
INLINE void key_block(const KeyRun *r, uint32_t first, uint32_t end, float scale, int ahead, const int masked) {
  const vf by = splat(scale * log2_e);
  for (uint32_t j = first; j < end; j++) {
    const uint32_t at = j * TERMS;
    const vf log[2] = {load(r->log + at), load(r->log + at + VW)};
    const vf delta[2] = {load(r->delta + at), load(r->delta + at + VW)};
    for (uint32_t s = 0; s < PAIRED; s++) {
      const float *score = r->scores + s * SIDE + at, *slope = r->slopes + s * SIDE + at;
      vf w[2], d[2];
      UNROLL
      for (int i = 0; i < 2; i++) {
        w[i] = exp2_near(load(score + i * VW) * by - log[i]);
        if (masked) {
          const int hidden = (int)s + ahead - (int)(at + i * VW);
          w[i] = _mm512_maskz_mov_ps(hidden <= 0 ? 0xffff : hidden < VW ? 0xffffu << hidden : 0, w[i]);
        }
        d[i] = w[i] * (load(slope + i * VW) - delta[i]);
      }
      const size_t to = s / LINES * WEIGHT_LINE + j * TILE + s % LINES * TERMS;
      _mm512_store_si512(r->weights + to, round_values(w[0], w[1]));
      _mm512_store_si512(r->changes + to, round_values(d[0], d[1]));
    }
  }
}

/* dk and dv of the part's rows. */
static void key_part(const Part *p, float *memory) {
  const uint32_t size = p->size, wide = strips(size), width = wide * LINES, tiles = ceil_div(size, TERMS), n = p->n;
  const size_t line = packed_line(size);
  KeyRun r;
  key_run_in(&r, memory, size);
  ask_rows(rows_from(p->k, p->row), n, size);
  ask_rows(rows_from(p->v, p->row), n, size);
  pack_lines(rows_from(p->k, p->row), n, size, 0, r.k);
  pack_lines(rows_from(p->v, p->row), n, size, 0, r.v);
  memset(r.dk, 0, 4ull * strips(n) * LINES * width);
  memset(r.dv, 0, 4ull * strips(n) * LINES * width);
  float *dk = p->dqkv + p->row * p->q.stride + (p->k.x - p->q.x), *dv = dk + (p->v.x - p->k.x);
  tiles_begin();
  for (uint32_t from = p->row; from < p->end; from += SIDE) {
    const uint32_t queries = min_u32(SIDE, p->end - from), next = min_u32(SIDE, p->end - from - queries);
    const Rows q = rows_from(p->q, from), dy = rows_from(p->dy, from);
    const uint32_t terms = ceil_div(queries, TERMS);
    ask_rows(rows_from(q, queries), next, size);
    ask_rows(rows_from(dy, queries), next, size);
    const uint32_t done = from - p->row, left = done < n ? min_u32(SIDE, n - done) : 0;
    ask_rows(rows_from((Rows){dk, p->q.stride}, done), left, size);
    ask_rows(rows_from((Rows){dv, p->q.stride}, done), left, size);
    pack_lines(q, queries, size, 1, r.q);
    pack_lines(dy, queries, size, 1, r.dy);
    pack_terms(q, queries, size, 1, r.q_terms);
    pack_terms(dy, queries, size, 1, r.dy_terms);
    for (uint32_t i = 0; i < SIDE; i++) {
      const float *stats = p->stats + 2 * (size_t)(from + i) * p->heads;
      r.log[i] = i < queries ? stats[0] * log2_e : 0;
      r.delta[i] = i < queries ? stats[1] : 0;
    }
    for (uint32_t row = 0; row < n && p->row + row < from + queries; row += PAIRED) {
      const uint32_t pair = strips(min_u32(PAIRED, n - row));
      const int ahead = (int)(p->row + row) - (int)from;
      const uint32_t first = ahead > 0 ? ahead / TERMS : 0, some = 2 * (terms - first);
      const uint16_t *k = r.k + row / LINES * line, *v = r.v + row / LINES * line;
      const size_t at = 2 * first * line, skip = first * TERMS;
      multiply_strips(pair, some, k, line, r.q + at, line, tiles, r.scores + skip, SIDE, 0);
      multiply_strips(pair, some, v, line, r.dy + at, line, tiles, r.slopes + skip, SIDE, 0);
      if (ahead + PAIRED > 0) key_block(&r, first, terms, p->scale, ahead, 1);
      else key_block(&r, first, terms, p->scale, ahead, 0);
      multiply_strips(pair, wide, r.weights + first * TILE, WEIGHT_LINE, r.dy_terms + first * TILE, WEIGHT_LINE,
                      terms - first, r.dv + (size_t)row * width, width, 1);
      multiply_strips(pair, wide, r.changes + first * TILE, WEIGHT_LINE, r.q_terms + first * TILE, WEIGHT_LINE,
                      terms - first, r.dk + (size_t)row * width, width, 1);
    }
  }
  tiles_end();
  for (uint32_t t = 0; t < n; t++) {
    scale_row(dk + t * p->q.stride, r.dk + t * width, size, p->scale);
    scale_row(dv + t * p->q.stride, r.dv + t * width, size, 1);
  }
}
