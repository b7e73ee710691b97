/* One row's attention over a range of keys, as partial softmax: what decoding runs. */
#ifndef ATTENTION_ROW_H
#define ATTENTION_ROW_H
#include "micro.h"

/* Keys whose scores are held at once. */
enum { KEYS = 64 };

/* Of keys [k0, k1): the largest score, Σ e^(score − max), and Σ e^(score − max) · v. */
typedef struct {
  float max, total;
} Partial;

/* e^(s − max) in place for n scores, 0 for the rest of KEYS; returns their sum. */
static float exponentials(float *s, uint32_t n, float max) {
  vf total = {0};
  for (uint32_t i = 0; i < KEYS; i += VW) {
    vf w = vexp(load(s + i) - max);
    if (i + VW > n) {
      vi lane;
      for (int j = 0; j < VW; j++) lane[j] = i + j < n;
      w = blend(lane > 0, w, (vf){0});
    }
    store(s + i, w);
    total += w;
  }
  return sum(total);
}

/* values[⌈size⌉₁₆] must be zero before; k and v: [.., size] of one head. `scores` holds KEYS floats. */
static Partial attend_row(const float *q, const float *k, const float *v, uint32_t k0, uint32_t k1, uint32_t size,
                          float scale, float *scores, float *values) {
  Partial part = {-INFINITY, 0};
  for (uint32_t from = k0; from < k1; from += KEYS) {
    const uint32_t n = min_u32(KEYS, k1 - from);
    float max = part.max;
    for (uint32_t i = 0; i < n; i++) {
      scores[i] = dot(q, k, (size_t)(from + i) * size, size, F32) * scale;
      max = scores[i] > max ? scores[i] : max;
    }
    for (uint32_t i = n; i < KEYS; i++) scores[i] = max;
    const float keep = part.max == max ? 1.0f : expf(part.max - max);
    part = (Partial){max, part.total * keep + exponentials(scores, n, max)};
    for (uint32_t d = 0; d < size; d += PANEL) {
      if (keep != 1.0f)
        for (uint32_t i = d; i < d + PANEL; i++) values[i] *= keep;
      const Panels b = {.panel = {v + (size_t)from * size + d}, .stride = size};
      micro_tile(1, 1, 0, 0, n, scores, &b, values + d, PANEL);
    }
  }
  return part;
}

#endif
