/* Floats rounded to f16, with the same bits on every instruction set. */
#ifndef HALF_H
#define HALF_H
#include "vector.h"

/* To the nearest f16, halves to even, within ±65504. */
INLINE vf nearest_half(vf x) {
  const vi negative = (vi)x & (int32_t)0x80000000, number = x == x;
  const vf size = vmin(splat(65504), (vf)((vi)x & 0x7fffffff));
  const vi normal = ((vi)size + 0xfff + (((vi)size >> 13) & 1)) & ~0x1fff;
  const vi small = (vi)((size + 0.5f) - 0.5f); /* multiples of 2⁻²⁴ */
  const vf rounded = blend(size < 0x1p-14f, (vf)small, (vf)normal);
  return blend(number, (vf)((vi)rounded | negative), (vf)((vi){0} + 0x7fc00000));
}

/* VW numbers that are f16. */
INLINE void store_halves(void *to, vf x) {
  const vi bits = (vi)x & 0x7fffffff, sign = ((vi)x >> 16) & 0x8000;
  const vi small = (vi)((vf)bits * 0x1p24f + 8388608.0f) & 0x3ff, normal = (bits >> 13) - (112 << 10);
  const vi finite = (vi)blend((vf)bits < 0x1p-14f, (vf)small, (vf)normal);
  const vi half = ((vi)blend(x == x, (vf)finite, (vf)((vi){0} + 0x7e00))) | sign;
  *(vh_unaligned *)to = __builtin_convertvector(half, vh_unaligned);
}

#endif
