/* One row's attention over a range of keys, as partial softmax: what decoding runs. */
#ifndef ATTENTION_ROW_H
#define ATTENTION_ROW_H
#include "compact.h"

/* Keys whose scores are held at once. */
enum { KEYS = 64 };

/* Of some keys: the largest score, Σ e^(score − max); with it goes Σ e^(score − max) · v. */
typedef struct {
  float max, total;
} Partial;

static inline uint32_t padded(uint32_t size) { return ceil_div(size, PANEL) * PANEL; }

/* Lanes [n, VW) off. */
static vi lanes_below(uint32_t n) {
  vi lane;
  for (uint32_t j = 0; j < VW; j++) lane[j] = j < n ? -1 : 0;
  return lane;
}

/* e^(s − max) in place for n scores, 0 for the rest of KEYS; returns their sum. */
static float exponentials(float *s, uint32_t n, float max) {
  vf total = {0};
  for (uint32_t i = 0; i < KEYS; i += VW) {
    vf w = vexp(load(s + i) - max);
    if (i + VW > n) w = (vf)((vi)w & lanes_below(n > i ? n - i : 0));
    store(s + i, w);
    total += w;
  }
  return sum(total);
}

/* The lanes of each of four vectors, added. */
INLINE v4 sum_four(const vf a[4]) {
  const v4 part[4] = {fold(a[0]), fold(a[1]), fold(a[2]), fold(a[3])};
  const v4 ab = SHUFFLE(part[0], part[1], 0, 4, 1, 5) + SHUFFLE(part[0], part[1], 2, 6, 3, 7);
  const v4 cd = SHUFFLE(part[2], part[3], 0, 4, 1, 5) + SHUFFLE(part[2], part[3], 2, 6, 3, 7);
  return SHUFFLE(ab, cd, 0, 1, 4, 5) + SHUFFLE(ab, cd, 2, 3, 6, 7);
}

/* scores[i] = scale · q · k[i] for n keys, four at a time; the rest of KEYS is −∞. Returns the largest, and `max`. */
static float score_keys(const float *q, const float *k, uint32_t n, uint32_t size, float scale, float max,
                        float *scores) {
  const uint32_t whole = size / VW * VW;
  const vi rest = lanes_below(size - whole);
  const vf last = size > whole ? load_part(q + whole, size - whole) : (vf){0};
  for (uint32_t i = 0; i < n; i += 4) {
    const float *key[4];
    for (uint32_t j = 0; j < 4; j++) key[j] = k + (size_t)min_u32(i + j, n - 1) * size;
    vf acc[4] = {0};
    for (uint32_t d = 0; d < whole; d += VW) {
      const vf x = load(q + d);
      UNROLL
      for (int j = 0; j < 4; j++) acc[j] += x * load(key[j] + d);
    }
    /* What lies beyond a key's end may be anything, NaN too. */
    if (size > whole)
      for (int j = 0; j < 4; j++) acc[j] += last * (vf)((vi)load(key[j] + whole) & rest);
    *(v4_unaligned *)(scores + i) = sum_four(acc) * scale;
  }
  vf highest = (vf){0} + max;
  for (uint32_t i = n; i < KEYS; i++) scores[i] = -INFINITY;
  for (uint32_t i = 0; i < KEYS; i += VW) highest = vmax(highest, load(scores + i));
  return maximum(highest);
}

/* values[PANEL · panels] = keep · values + Σ weights[i] · v[i, the same columns]. */
INLINE void add_values(const float *weights, const float *v, uint32_t n, size_t size, float keep, float *values,
                       const uint32_t panels) {
  vf acc[4 * NV];
  UNROLL
  for (uint32_t j = 0; j < panels * NV; j++) acc[j] = load(values + j * VW) * keep;
  for (uint32_t i = 0; i < n; i++) {
    const vf weight = splat(weights[i]);
    UNROLL
    for (uint32_t j = 0; j < panels * NV; j++) acc[j] += weight * load(v + i * size + j * VW);
  }
  UNROLL
  for (uint32_t j = 0; j < panels * NV; j++) store(values + j * VW, acc[j]);
}

/* Floats of working memory. */
static inline uint64_t row_floats(uint32_t size) { return KEYS + unpacked_floats(KEYS, size); }

/* values[padded(size)] must be zero before; k and v: [.., size] of one head, or compact. */
static Partial attend_row(const float *q, Rows k, Rows v, uint32_t k0, uint32_t k1, uint32_t size, float scale,
                          float *memory, float *values) {
  float *scores = memory, *some = memory + KEYS;
  Partial part = {-INFINITY, 0};
  for (uint32_t from = k0; from < k1; from += KEYS) {
    const uint32_t n = min_u32(KEYS, k1 - from);
    const float max = score_keys(q, unpacked(rows_from(k, from), n, size, some).x, n, size, scale, part.max, scores);
    const float keep = part.max == max ? 1.0f : expf(part.max - max);
    part = (Partial){max, part.total * keep + exponentials(scores, n, max)};
    const float *value = unpacked(rows_from(v, from), n, size, some).x;
    uint32_t d = 0;
    for (; d + 4 * PANEL <= padded(size); d += 4 * PANEL)
      add_values(scores, value + d, n, size, keep, values + d, 4);
    for (; d < size; d += PANEL) add_values(scores, value + d, n, size, keep, values + d, 1);
  }
  return part;
}

#endif
