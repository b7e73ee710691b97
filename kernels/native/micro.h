/* The register-blocked inner product of the engine: C[mr, 16·pairs] += A[mr, k] · B[k, 16·pairs]. */
#ifndef MICRO_H
#define MICRO_H
#include "transpose.h"

/* MR rows and PAIR panels fill the registers. */
#if VW == 16
enum { MR = 14 };
#elif VW == 8 || defined(__aarch64__)
enum { MR = 6 };
#else
enum { MR = 3 };
#endif

/* B: one or two panels, rows `stride` floats apart. `next`: memory to ask for meanwhile, `step` bytes for each row of B. */
typedef struct {
  const float *panel[2];
  size_t stride;
  const char *next[2];
  size_t step;
} Panels;

/* A is packed, [k, mr], or row-major with a constant row length `lda`. `stream`: `next` is given. */
INLINE void micro_tile(const uint32_t mr, const uint32_t pairs, const uint32_t lda, const int stream, uint32_t inner,
                       const float *a, const Panels *b, float *c, size_t ldc) {
  const float *b0 = b->panel[0], *b1 = b->panel[1];
  const char *next0 = b->next[0], *next1 = b->next[1];
  const size_t stride = b->stride, step = b->step;
  vf acc[MR][PAIR * NV];
  UNROLL
  for (uint32_t r = 0; r < mr; r++)
    UNROLL
    for (uint32_t v = 0; v < pairs * NV; v++) acc[r][v] = load(c + r * ldc + v * VW);
  for (uint32_t k = 0; k < inner; k++) {
    vf row[PAIR * NV];
    if (stream) {
      __builtin_prefetch(next0, 0, 2);
      if (pairs == 2) __builtin_prefetch(next1, 0, 2);
      next0 += step;
      next1 += step;
    }
    UNROLL
    for (uint32_t v = 0; v < pairs * NV; v++) row[v] = load(v < NV ? b0 + v * VW : b1 + (v - NV) * VW);
    UNROLL
    for (uint32_t r = 0; r < mr; r++) {
      const vf x = splat(lda ? a[r * lda] : a[r]);
      UNROLL
      for (uint32_t v = 0; v < pairs * NV; v++) acc[r][v] += x * row[v];
    }
    a += lda ? 1 : mr;
    b0 += stride;
    b1 += stride;
  }
  UNROLL
  for (uint32_t r = 0; r < mr; r++)
    UNROLL
    for (uint32_t v = 0; v < pairs * NV; v++) store(c + r * ldc + v * VW, acc[r][v]);
}

#define MICRO_CASE(m) \
  case m: \
    if (PAIR == 2 && pairs == 2) micro_tile(m, PAIR, lda, stream, inner, a, b, c, ldc); \
    else micro_tile(m, 1, lda, stream, inner, a, b, c, ldc); \
    break;

INLINE void micro_rows(uint32_t mr, uint32_t pairs, const uint32_t lda, const int stream, uint32_t inner,
                       const float *a, const Panels *b, float *c, size_t ldc) {
  switch (mr) {
    MICRO_CASE(1) MICRO_CASE(2) MICRO_CASE(3)
#if VW >= 8 || defined(__aarch64__)
    MICRO_CASE(4) MICRO_CASE(5) MICRO_CASE(6)
#endif
#if VW == 16
    MICRO_CASE(7) MICRO_CASE(8) MICRO_CASE(9) MICRO_CASE(10) MICRO_CASE(11) MICRO_CASE(12) MICRO_CASE(13) MICRO_CASE(14)
#endif
  }
}

/* Among a caller's many variables the loops' pointers would go to the stack: measured 8 % slower. */
#define ALONE static __attribute__((noinline))

/* A packed as [k, mr]. */
ALONE void micro_packed(uint32_t mr, uint32_t pairs, uint32_t inner, const float *a, const Panels *b, float *c,
                        size_t ldc) {
  micro_rows(mr, pairs, 0, 0, inner, a, b, c, ldc);
}

/* Rows of `x`, `stride` floats apart and `gather`ed if given, columns [k0, k1) → panels [k, mr] of `inner` columns each. */
static void pack_rows(const float *x, size_t stride, const uint32_t *gather, uint32_t rows, uint32_t inner, uint32_t k0,
                      uint32_t k1, float *packed) {
  const uint32_t panels = ceil_div(rows, MR);
  for (uint32_t i = 0; i < panels; i++) {
    const uint32_t row = panel_row(rows, panels, i), mr = panel_row(rows, panels, i + 1) - row;
    float *to = packed + (size_t)row * inner;
    for (uint32_t r = 0; r < mr; r += 4) {
      const float *from[4] = {0};
      const uint32_t n = min_u32(4, mr - r);
      for (uint32_t j = row + r + 4; j < min_u32(rows, row + r + 8); j++)
        ask(x + stride * (gather ? gather[j] : j) + k0, k1 - k0);
      for (uint32_t j = 0; j < n; j++) from[j] = x + stride * (gather ? gather[row + r + j] : row + r + j) + k0;
      if (n == 4) transpose_four(to + (size_t)k0 * mr + r, mr, from, k1 - k0);
      else
        for (uint32_t k = k0; k < k1; k++)
          for (uint32_t j = 0; j < n; j++) to[(size_t)k * mr + r + j] = from[j][k - k0];
    }
  }
}

#endif
