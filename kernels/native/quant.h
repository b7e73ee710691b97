/* Quantized matrices as src/base/quant.ts lays them out, and rows of activations rounded to 16 bits to multiply them with. */
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
 * How this instruction set multiplies codes: as bytes, four at once, by the high and the low bytes of activations; or as the
 * even and the odd bytes of each 32 bits, widened to 16 bits, by pairs of whole activations. Of AVX-512 it depends on the
 * processor: VNNI came two years later.
 */
#if VW == 16 && !defined(__AVX512VNNI__)
#define HAS_DOT (__builtin_cpu_supports("avx512vnni") != 0)
#elif VW == 16 || defined(__ARM_FEATURE_DOTPROD)
#define HAS_DOT 1
#else
#define HAS_DOT 0
#endif

/* Words of four activations; rows that share the codes in registers. */
enum { FOUR = 2, QUANT_ROWS = VW == 16 ? 8 : 4 };

/*
 * A few rows of activations: x ≈ scale · code, |code| ≤ 127 · 256 + 127, with a scale for each row and group of the matrix. A
 * row's values depend on nothing else, and sums of codes are exact: results are the same for any rows beside it.
 */
typedef struct {
  int32_t *codes; /* [terms / 4][rows][FOUR] */
  float *factors; /* [groups][2][rows]: scales, then what a group's x sum to */
} Rounded;

enum { MOST_CODE = 127 * 256 + 127 };

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

/* Four codes to words of the kind that the products take: high bytes and low ones, both signed; or even and odd codes. */
INLINE void write_four(int32_t *to, const int16_t *codes, const int dots) {
  if (dots) {
    int8_t bytes[8];
    for (uint32_t i = 0; i < 4; i++) {
      bytes[4 + i] = (int8_t)codes[i];
      bytes[i] = (codes[i] - bytes[4 + i]) >> 8;
    }
    memcpy(to, bytes, 8);
    return;
  }
  const int16_t pairs[4] = {codes[0], codes[2], codes[1], codes[3]};
  memcpy(to, pairs, 8);
}

typedef int16_t vs_unaligned __attribute__((vector_size(2 * VW), aligned(2), may_alias));

/* Rounds x[live] to codes, with 0 up to `group`; returns their scale, and what they sum to in *total. */
INLINE float round_group(const float *x, uint32_t live, uint32_t group, int16_t *codes, int32_t *total) {
  const float shift = 12582912.0f; /* 1.5 · 2²³: adding it rounds to an integer in the low bits */
  vf most = {0}, none = {0};
  for (uint32_t i = 0; i < live; i += VW) {
    const vf v = load_up_to(x + i, live - i);
    most = vmax(most, (vf)((vi)v & 0x7fffffff));
    none += v * 0.0f;
  }
  /* What is no finite number makes the scale no number either. */
  const float scale = maximum(most) / MOST_CODE + sum(none), inverse = scale > 1e-30f ? 1 / scale : 0;
  vi all = {0};
  for (uint32_t i = 0; i < group; i += VW) {
    const vf v = i < live ? load_up_to(x + i, live - i) : (vf){0};
    const vi code = ((vi)multiply_add(v, splat(inverse), splat(shift)) << 16) >> 16;
    all += code;
    *(vs_unaligned *)(codes + i) = __builtin_convertvector(code, vs_unaligned);
  }
  *total = 0;
  for (uint32_t i = 0; i < VW; i++) *total += all[i];
  return scale;
}

/* Rounds x[inner]: row `row` of `rows`. */
static void round_row(const float *x, uint32_t inner, uint32_t group, uint32_t row, uint32_t rows, const Rounded *to) {
  int32_t *words = to->codes + row * FOUR;
  float *factors = to->factors + row;
  const int dots = HAS_DOT;
  for (uint32_t from = 0; from < inner; from += group, factors += 2 * rows) {
    int16_t codes[MOST_GROUP];
    int32_t total;
    factors[0] = round_group(x + from, min_u32(group, inner - from), group, codes, &total);
    factors[rows] = factors[0] * total;
    for (uint32_t i = 0; i < group; i += 4, words += rows * FOUR) write_four(words, codes + i, dots);
  }
}

#endif
