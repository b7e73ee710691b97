/*
 * Attention of queries by tiles. Scores stand as [keys, queries], a query a lane: its maximum and total need no sums across
 * a vector, and weights go into tiles as they come. Operands are rounded to bf16 while they are packed, sums are f32.
 */
#ifndef ATTENTION_BF16_H
#define ATTENTION_BF16_H
#include "attention_row.h"
#include "tile.h"

/* Most rows that share the packing of what they are multiplied by; queries whose scores are held at once. */
enum { RUN = 512, PAIRED = 2 * LINES };

/* A block's weights: two strips of queries, SIDE keys. */
enum { WEIGHT_LINE = SIDE / TERMS * TILE };

/* Scores are held as exponents of 2. */
static const float log2_e = 1.44269504f;

/* By how much scores may outgrow the maximum that they are held against: weights up to 2⁸ are as exact as those below 1. */
static const float slack = 8;

/* 2^x within 3e-6: a polynomial between whole numbers. */
INLINE vf exp2_near(vf x) {
  const vf part = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
  vf p = part * 0.01353418f + 0.05201148f;
  p = p * part + 0.24144271f;
  p = p * part + 0.69300386f;
  p = p * part + 1.00000259f;
  return _mm512_scalef_ps(p, x);
}

static inline uint32_t strips(uint32_t rows) { return ceil_div(rows, LINES); }

/* Elements of packed rows whose terms are their elements. */
static inline size_t packed_line(uint32_t size) { return (size_t)ceil_div(size, TERMS) * TILE; }

/* n rows as lines of an operand A or B, their elements as terms → [strip][tile], an even number of strips. */
static void pack_lines(Rows x, uint32_t n, uint32_t size, int of_b, uint16_t *to) {
  for (uint32_t row = 0; row < ceil_div(n, PAIRED) * PAIRED; row += LINES) {
    Lines from = {.data = x.x, .step = VW, .live = row < n ? min_u32(LINES, n - row) : 0, .terms = size};
    for (uint32_t i = 0; i < from.live; i++) from.line[i] = (row + i) * x.stride;
    for (uint32_t k = 0; k < size; k += TERMS, to += TILE) {
      if (of_b) pack_tile(&from, k, 0, 1, to, 0, F32);
      else pack_tile(&from, k, 0, 0, to, 0, F32);
    }
  }
}

/* n ≤ SIDE rows as terms, their columns as lines → [strip][tile], strips WEIGHT_LINE apart. */
static void pack_terms(Rows x, uint32_t n, uint32_t size, int of_b, uint16_t *to) {
  for (uint32_t d = 0; d < size; d += LINES, to += WEIGHT_LINE) {
    const Lines from = {.data = x.x, .line = {d}, .step = x.stride, .live = min_u32(LINES, size - d), .terms = n};
    for (uint32_t k = 0; k < n; k += TERMS) {
      if (of_b) pack_tile(&from, k, 1, 1, to + k / TERMS * TILE, 0, F32);
      else pack_tile(&from, k, 1, 0, to + k / TERMS * TILE, 0, F32);
    }
  }
}

/* C[16 · high, 16 · wide] = or += A · B for any number of strips, each `n` tiles long and `a_step`, `b_step` apart. */
static void multiply_strips(uint32_t high, uint32_t wide, const uint16_t *a, size_t a_step, const uint16_t *b,
                            size_t b_step, uint32_t n, float *c, size_t pitch, int add) {
  for (uint32_t i = 0; i < high; i += 2)
    for (uint32_t j = 0; j < wide; j += 2)
      multiply_tiles(min_u32(2, high - i), min_u32(2, wide - j), a + i * a_step, a_step, b + j * b_step, b_step, n,
                     c + i * LINES * pitch + j * LINES, pitch, add);
}

/*
 * What a run of queries works with. Forward, y is the weighted sum of v; on the way back `slopes` is given, weights are
 * changes of the scores and the sum is of k: the gradient of q.
 */
typedef struct {
  uint16_t *q, *dy;      /* packed, [strip][tile] */
  uint16_t *k, *v, *sum; /* packed: keys and values as lines, what is summed by its columns */
  uint16_t *weights;     /* [strip][tile] of PAIRED queries */
  float *scores, *slopes; /* [SIDE, PAIRED] */
  float *sums;           /* [RUN / PAIRED][columns of a head, PAIRED] */
  float *top, *total;    /* of each query: what its scores are held against, Σ 2^(score − top) */
  float *delta;          /* dy · y */
  float *some;           /* SIDE rows of a compact cache in f32 */
  int32_t *last;         /* last key that it sees; of lanes without a query, that of the last one */
} Run;

/* Floats of working memory. */
static inline uint64_t run_floats(uint32_t size, int back) {
  const uint64_t lines = RUN / LINES * packed_line(size) * (back ? 2 : 1), keys = SIDE / LINES * packed_line(size) * 2;
  const uint64_t tiles = lines + keys + (strips(size) + PAIRED / LINES) * WEIGHT_LINE;
  const uint64_t some = back ? 0 : unpacked_floats(SIDE, size);
  return tiles / 2 + SIDE * PAIRED * (back ? 2 : 1) + RUN * (strips(size) * LINES + 4ull) + some;
}

static Run run_in(float *memory, uint32_t size, int back) {
  const size_t lines = RUN / LINES * packed_line(size), keys = SIDE / LINES * packed_line(size);
  Run r = {.top = memory, .total = memory + RUN, .delta = memory + 2 * RUN, .last = (int32_t *)(memory + 3 * RUN)};
  r.sums = memory + 4 * RUN;
  r.scores = r.sums + RUN * strips(size) * LINES;
  r.slopes = r.scores + SIDE * PAIRED;
  r.q = (uint16_t *)(r.slopes + (back ? SIDE * PAIRED : 0));
  r.dy = r.q + lines;
  r.k = r.dy + (back ? lines : 0);
  r.v = r.k + keys;
  r.sum = r.v + keys;
  r.weights = r.sum + strips(size) * WEIGHT_LINE;
  r.some = (float *)(r.weights + PAIRED / LINES * WEIGHT_LINE);
  return r;
}

/* Scores of one strip's queries → packed weights of `keys` keys from `from` on; earlier sums shrink when the top rises. */
INLINE void soften(const Run *r, uint32_t strip, uint32_t from, uint32_t keys, uint32_t size, float scale, const int masked,
                   const int back) {
  const uint32_t lane = strip * LINES, half = strip % 2;
  const float *scores = r->scores + half * LINES, *slopes = r->slopes + half * LINES;
  const __m512i last = _mm512_loadu_si512(r->last + lane);
  const vf none = splat(-INFINITY), by = splat(scale * log2_e);
  vf best[4] = {none, none, none, none};
  for (uint32_t s = 0; s < keys; s += 4)
    UNROLL
    for (uint32_t j = 0; j < 4; j++) {
      const __mmask16 seen = masked ? _mm512_cmpge_epi32_mask(last, _mm512_set1_epi32(from + s + j)) : 0xffff;
      best[j] = _mm512_mask_max_ps(best[j], seen, best[j], load(scores + (s + j) * PAIRED));
    }
  const vf highest = vmax(vmax(best[0], best[1]), vmax(best[2], best[3])) * by;
  vf top = load(r->top + lane), total[2] = {load(r->total + lane), {0}};
  if (_mm512_cmp_ps_mask(highest, top + slack, _CMP_GT_OQ)) {
    const vf next = vmax(top, highest), keep = exp2_near(top - next);
    float *sums = r->sums + strip / 2 * strips(size) * LINES * PAIRED + half * LINES;
    for (uint32_t d = 0; from && d < strips(size) * LINES; d++) store(sums + d * PAIRED, load(sums + d * PAIRED) * keep);
    total[0] *= keep;
    top = next;
    store(r->top + lane, top);
  }
  const vf delta = back ? load(r->delta + lane) : (vf){0};
  uint16_t *to = r->weights + half * WEIGHT_LINE;
  for (uint32_t s = 0; s < keys; s += 2, to += TERMS) {
    vf w[2];
    UNROLL
    for (uint32_t j = 0; j < 2; j++) {
      const __mmask16 seen = masked ? _mm512_cmpge_epi32_mask(last, _mm512_set1_epi32(from + s + j)) : 0xffff;
      w[j] = _mm512_maskz_mov_ps(seen, exp2_near(load(scores + (s + j) * PAIRED) * by - top));
      total[j] += w[j];
      if (back) w[j] = _mm512_maskz_mul_ps(seen, w[j], load(slopes + (s + j) * PAIRED) - delta);
    }
    _mm512_store_si512(to, round_pairs(w[0], w[1]));
  }
  store(r->total + lane, total[0] + total[1]);
}

/* `rows` ≤ RUN packed queries go through all keys that they see. `to`: where their results will go. */
INLINE void attend_run(const Run *r, Rows k, Rows v, Rows to, uint32_t rows, uint32_t size, float scale, const int back) {
  const uint32_t length = r->last[rows - 1] + 1, tiles = ceil_div(size, TERMS), wide = strips(size);
  const size_t line = packed_line(size);
  for (uint32_t t = rows; t < strips(rows) * LINES; t++) r->last[t] = r->last[rows - 1];
  for (uint32_t t = 0; t < strips(rows) * LINES; t++) {
    r->top[t] = -INFINITY;
    r->total[t] = 0;
  }
  tiles_begin();
  for (uint32_t from = 0; from < length; from += SIDE) {
    const uint32_t n = min_u32(SIDE, length - from), next = min_u32(SIDE, length - from - n);
    ask_rows(rows_from(k, from + n), next, size);
    ask_rows(rows_from(v, from + n), next, size);
    if (from < rows) ask_rows(rows_from(to, from), min_u32(SIDE, rows - from), size);
    pack_lines(unpacked(rows_from(k, from), n, size, r->some), n, size, 0, r->k);
    if (back) pack_lines(rows_from(v, from), n, size, 0, r->v);
    pack_terms(unpacked(rows_from(back ? k : v, from), n, size, r->some), n, size, 0, r->sum);
    for (uint32_t row = 0; row < rows; row += PAIRED) {
      const uint32_t some = min_u32(PAIRED, rows - row), pair = strips(some), lowest = r->last[row];
      const uint32_t highest = r->last[row + some - 1];
      if (highest < from) continue;
      const uint32_t seen = min_u32(SIDE, highest + 1 - from), keys = ceil_div(seen, TERMS);
      const uint16_t *q = r->q + row / LINES * line;
      multiply_strips(strips(seen), pair, r->k, line, q, line, tiles, r->scores, PAIRED, 0);
      if (back) multiply_strips(strips(seen), pair, r->v, line, r->dy + row / LINES * line, line, tiles, r->slopes, PAIRED, 0);
      const int masked = lowest + 1 < from + keys * TERMS;
      for (uint32_t i = 0; i < pair; i++) {
        if (masked) soften(r, row / LINES + i, from, keys * TERMS, size, scale, 1, back);
        else soften(r, row / LINES + i, from, keys * TERMS, size, scale, 0, back);
      }
      multiply_strips(wide, pair, r->sum, WEIGHT_LINE, r->weights, WEIGHT_LINE, keys, r->sums + row * wide * LINES, PAIRED,
                      from > 0);
    }
  }
  tiles_end();
}

/* to[rows of a strip, size] = the strip's sums · by, a factor for each query; rows `stride` apart. */
static void store_strip(const Run *r, uint32_t strip, uint32_t rows, uint32_t size, vf by, float *to, size_t stride) {
  const float *sums = r->sums + (size_t)strip / 2 * strips(size) * LINES * PAIRED + strip % 2 * LINES;
  for (uint32_t d = 0; d < size; d += LINES) {
    __m512i turned[LINES];
    for (uint32_t i = 0; i < LINES; i++) turned[i] = (__m512i)(load(sums + (d + i) * PAIRED) * by);
    turn_pairs(turned);
    for (uint32_t i = 0; i < rows; i++) store_up_to(to + i * stride + d, (vf)turned[i], size - d);
  }
}

/* Floats of working memory. */
static inline uint64_t block_floats(uint32_t size) { return run_floats(size, 0); }

/*
 * y = attention of `rows` ≤ RUN rows of one sequence and head over k and v. pos: ascending, below the length of the cache;
 * y: rows `width` apart.
 */
static void attend_block(Rows q, Rows k, Rows v, const uint32_t *pos, uint32_t rows, uint32_t size, float scale, float *y,
                         size_t width, float *memory) {
  const Run r = run_in(memory, size, 0);
  ask_rows(q, rows, size);
  pack_lines(q, rows, size, 1, r.q);
  for (uint32_t t = 0; t < rows; t++) r.last[t] = pos[t];
  attend_run(&r, k, v, (Rows){y, width}, rows, size, scale, 0);
  for (uint32_t t = 0; t < rows; t += LINES)
    store_strip(&r, t / LINES, min_u32(LINES, rows - t), size, 1.0f / load(r.total + t), y + t * width, width);
}

#endif
