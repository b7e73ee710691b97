/* Quantized matrices as src/base/quant.ts lays them out, and rows of activations rounded to 8 bits to multiply them with. */
#ifndef QUANT_H
#define QUANT_H
#include "vector.h"

/* A kernel's last parameters: bits of a code, 4 or 8; inputs that share a scale, 32, 64 or 128. */
typedef struct {
  uint32_t bits, group;
} Grouping;

/* Bytes of a block's scales, and of its minimums; bytes of a line of codes; most inputs of a group. */
enum { HALVES = 2 * PANEL, LINE = 4 * PANEL, MOST_GROUP = 128 };

static inline size_t block_bytes(Grouping g) { return 2 * HALVES + (size_t)g.group * g.bits * PANEL / 8; }
static inline size_t quant_panel_bytes(Grouping g, uint32_t inner) { return ceil_div(inner, g.group) * block_bytes(g); }
static inline size_t quant_matrix_bytes(Grouping g, uint32_t inner, uint32_t cols) {
  return ceil_div(cols, PANEL) * quant_panel_bytes(g, inner);
}
/* As a binding's elements. */
static inline uint64_t quant_words(Grouping g, uint32_t inner, uint32_t cols) {
  return quant_matrix_bytes(g, inner, cols) / 4;
}

/*
 * How this instruction set multiplies codes: as bytes; or, WIDE, as the even and the odd bytes of each 32 bits, widened to 16
 * bits. Activations are stored to match: four terms take FOUR words.
 */
#if VW == 4 && !defined(__ARM_FEATURE_DOTPROD)
#define WIDE 1
#else
#define WIDE 0
#endif
enum { FOUR = WIDE ? 2 : 1 };

/* Rows that share the codes in registers. */
enum { QUANT_ROWS = VW == 16 ? 8 : 4 };

/*
 * A few rows of activations: x ≈ scale · code, |code| ≤ 127, with a scale for each row and group of the matrix. A row's
 * values depend on nothing else, and sums of codes are exact: results are the same for any rows beside it.
 */
typedef struct {
  int32_t *codes; /* [terms / 4][rows][FOUR] */
  float *factors; /* [groups][2][rows]: scales, then what a group's x sum to */
} Rounded;

/* Bytes of the codes and the factors of so many rows. */
static inline uint64_t code_bytes(Grouping g, uint64_t rows, uint32_t inner) {
  return lines(rows * ceil_div(inner, g.group) * g.group * FOUR);
}
static inline uint64_t factor_bytes(Grouping g, uint64_t rows, uint32_t inner) {
  return lines(rows * ceil_div(inner, g.group) * 2 * sizeof(float));
}

/* Where row `row` of all is, with the codes at `scratch` and behind them the factors. */
static inline Rounded rounded_at(char *scratch, Grouping g, uint64_t rows, uint32_t inner, uint32_t row) {
  const size_t groups = ceil_div(inner, g.group);
  int32_t *codes = (int32_t *)scratch + row * groups * (g.group / 4 * FOUR);
  return (Rounded){codes, (float *)(scratch + code_bytes(g, rows, inner)) + row * groups * 2};
}

/* Four codes to words of the kind that the products take. */
INLINE void write_four(int32_t *to, const int8_t *codes) {
  if (!WIDE) {
    memcpy(to, codes, 4);
    return;
  }
  const int16_t wide[4] = {codes[0], codes[2], codes[1], codes[3]};
  memcpy(to, wide, 8);
}

typedef int8_t vb_unaligned __attribute__((vector_size(VW), aligned(1), may_alias));

/* Rounds x[inner]: row `row` of `rows`. What is no finite number makes its group's factors no numbers either. */
static void round_row(const float *x, uint32_t inner, uint32_t group, uint32_t row, uint32_t rows, const Rounded *to) {
  const float shift = 12582912.0f; /* 1.5 · 2²³: adding it rounds to an integer in the low bits */
  int32_t *codes = to->codes + row * FOUR;
  float *factors = to->factors + row;
  for (uint32_t from = 0; from < inner; from += group, factors += 2 * rows) {
    const uint32_t live = min_u32(group, inner - from);
    vf most = {0}, none = {0};
    for (uint32_t i = 0; i < live; i += VW) {
      const vf v = load_up_to(x + from + i, live - i);
      most = vmax(most, (vf)((vi)v & 0x7fffffff));
      none += v * 0.0f;
    }
    const float scale = maximum(most) / 127 + sum(none), inverse = scale > 1e-30f ? 1 / scale : 0;
    int8_t bytes[MOST_GROUP] = {0};
    vi total = {0};
    for (uint32_t i = 0; i < live; i += VW) {
      const vf v = load_up_to(x + from + i, live - i);
      const vi code = ((vi)multiply_add(v, splat(inverse), splat(shift)) << 24) >> 24;
      total += code;
      *(vb_unaligned *)(bytes + i) = __builtin_convertvector(code, vb_unaligned);
    }
    int32_t all = 0;
    for (uint32_t i = 0; i < VW; i++) all += total[i];
    factors[0] = scale;
    factors[rows] = scale * all;
    for (uint32_t i = 0; i < group; i += 4, codes += rows * FOUR) write_four(codes, bytes + i);
  }
}

#endif
