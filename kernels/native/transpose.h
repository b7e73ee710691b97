/* Rows of a table as columns of a panel: what products with a transposed matrix read. */
#ifndef TRANSPOSE_H
#define TRANSPOSE_H
#include "vector.h"

typedef float v4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t v4_index __attribute__((vector_size(16)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (v4_index){__VA_ARGS__})
#endif

/* to[k · pitch + j] = from[j][k] for four rows j and k in [0, n). */
INLINE void transpose_four(float *to, size_t pitch, const float *const from[4], uint32_t n) {
  uint32_t k = 0;
  for (; k + 4 <= n; k += 4) {
    const v4 a = *(const v4_unaligned *)(from[0] + k), b = *(const v4_unaligned *)(from[1] + k);
    const v4 c = *(const v4_unaligned *)(from[2] + k), d = *(const v4_unaligned *)(from[3] + k);
    const v4 ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
    const v4 ef = SHUFFLE(a, b, 2, 6, 3, 7), gh = SHUFFLE(c, d, 2, 6, 3, 7);
    *(v4_unaligned *)(to + k * pitch) = SHUFFLE(ab, cd, 0, 1, 4, 5);
    *(v4_unaligned *)(to + (k + 1) * pitch) = SHUFFLE(ab, cd, 2, 3, 6, 7);
    *(v4_unaligned *)(to + (k + 2) * pitch) = SHUFFLE(ef, gh, 0, 1, 4, 5);
    *(v4_unaligned *)(to + (k + 3) * pitch) = SHUFFLE(ef, gh, 2, 3, 6, 7);
  }
  for (; k < n; k++)
    for (uint32_t j = 0; j < 4; j++) to[k * pitch + j] = from[j][k];
}

/* panel[n, PANEL] = `live` ≤ PANEL rows of a table from element `at` on, `stride` apart; zeros for the rest. */
INLINE void transpose_panel(float *panel, const void *table, size_t at, size_t stride, uint32_t live, uint32_t n,
                            const uint32_t type) {
  for (uint32_t j = 0; j < PANEL; j += 4) {
    if (type == F32 && j + 4 <= live) {
      const float *first = (const float *)table + at + j * stride;
      const float *const rows[4] = {first, first + stride, first + 2 * stride, first + 3 * stride};
      transpose_four(panel + j, PANEL, rows, n);
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
      const float *const rows[4] = {strip[0], strip[1], strip[2], strip[3]};
      transpose_four(panel + (size_t)k * PANEL + j, PANEL, rows, width);
    }
  }
}

#endif
