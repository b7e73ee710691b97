/* Rows of a table as columns of a panel: what products with a transposed matrix read. */
#ifndef TRANSPOSE_H
#define TRANSPOSE_H
#include "vector.h"

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

/* to[k, 4 of PANEL] = four rows of `from`, `stride` apart, for k in [0, n). */
INLINE void transpose_four(float *to, const float *from, size_t stride, uint32_t n) {
  uint32_t k = 0;
  for (; k + 4 <= n; k += 4) {
    const v4 a = *(const v4_unaligned *)(from + k), b = *(const v4_unaligned *)(from + stride + k);
    const v4 c = *(const v4_unaligned *)(from + 2 * stride + k), d = *(const v4_unaligned *)(from + 3 * stride + k);
    const v4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const v4 ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4_unaligned *)(to + k * PANEL) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(v4_unaligned *)(to + (k + 1) * PANEL) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *(v4_unaligned *)(to + (k + 2) * PANEL) = __builtin_shufflevector(ef, gh, 0, 1, 4, 5);
    *(v4_unaligned *)(to + (k + 3) * PANEL) = __builtin_shufflevector(ef, gh, 2, 3, 6, 7);
  }
  for (; k < n; k++)
    for (uint32_t j = 0; j < 4; j++) to[k * PANEL + j] = from[j * stride + k];
}

/* panel[n, PANEL] = `live` ≤ PANEL rows of a table from element `at` on, `stride` apart; zeros for the rest. */
INLINE void transpose_panel(float *panel, const void *table, size_t at, size_t stride, uint32_t live, uint32_t n,
                            const uint32_t type) {
  for (uint32_t j = 0; j < PANEL; j += 4) {
    if (type == F32 && j + 4 <= live) {
      transpose_four(panel + j, (const float *)table + at + j * stride, stride, n);
      continue;
    }
    enum { STRIP = 64 };
    for (uint32_t k = 0; k < n; k += STRIP) {
      float strip[4][STRIP] = {{0}};
      const uint32_t width = min_u32(STRIP, n - k);
      for (uint32_t r = 0; r < 4 && j + r < live; r++) {
        const size_t row = at + (j + r) * stride + k;
        uint32_t i = 0;
        for (; i + VW <= width; i += VW) store(strip[r] + i, load_weights(table, row + i, type));
        for (; i < width; i++) strip[r][i] = load_weight(table, row + i, type);
      }
      transpose_four(panel + (size_t)k * PANEL + j, strip[0], STRIP, width);
    }
  }
}

#endif
