/* One row times a packed matrix: panels stream from memory once, in order. */
#ifndef GEMV_H
#define GEMV_H
#include "vector.h"

/* Elements of the matrix that one tile reads: long runs for the prefetcher, short ones to share small matrices out. */
enum { GEMV_LEAST = 1 << 13, GEMV_MOST = 1 << 20 };

/* Panels of one tile. */
static inline uint32_t gemv_panels(uint32_t inner, uint32_t cols, uint32_t threads) {
  const uint64_t share = (uint64_t)inner * cols / (4 * threads);
  const uint64_t run = share < GEMV_LEAST ? GEMV_LEAST : share > GEMV_MOST ? GEMV_MOST : share;
  return max_u32(1, run / PANEL / max_u32(1, inner));
}

/* Most floats that the sums of one tile take, whatever the number of threads. */
static inline uint64_t gemv_sums(uint32_t inner) { return PANEL * max_u32(1, GEMV_MOST / PANEL / max_u32(1, inner)); }

/* sums[PANEL] = x[inner] · panel[inner, PANEL]. Eight chains hide the latency of the multiply-add. */
INLINE void gemv_panel(const float *x, const void *b, size_t at, uint32_t inner, float *sums, const uint32_t type) {
  enum { CHAINS = 8 / NV };
  vf acc[CHAINS][NV] = {0};
  uint32_t k = 0;
  for (; k + CHAINS <= inner; k += CHAINS) {
    prefetch(b, at + (size_t)k * PANEL, CHAINS * PANEL, type);
    UNROLL
    for (uint32_t c = 0; c < CHAINS; c++)
      UNROLL
      for (uint32_t v = 0; v < NV; v++)
        acc[c][v] += splat(x[k + c]) * load_weights(b, at + (size_t)(k + c) * PANEL + v * VW, type);
  }
  for (; k < inner; k++)
    for (uint32_t v = 0; v < NV; v++) acc[0][v] += splat(x[k]) * load_weights(b, at + (size_t)k * PANEL + v * VW, type);
  UNROLL
  for (uint32_t v = 0; v < NV; v++) {
    UNROLL
    for (uint32_t n = CHAINS / 2; n; n /= 2)
      for (uint32_t c = 0; c < n; c++) acc[c][v] += acc[c + n][v];
    store(sums + v * VW, acc[0][v]);
  }
}

/* x[inner] times panels [first, last) of a matrix of any float type → sums[(last − first) · PANEL]. */
static void gemv(const float *x, const void *b, uint32_t inner, uint32_t first, uint32_t last, uint32_t type,
                 float *sums) {
  for (uint32_t p = first; p < last; p++)
    BY_TYPE(type, gemv_panel, x, b, (size_t)p * inner * PANEL, inner, sums + (p - first) * PANEL);
}

#endif
