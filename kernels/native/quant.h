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

/* Words of four activations; most rows that go together, sharing the codes; rows from which on the matrix unit takes them. */
#ifdef __AMX_INT8__
enum { FOUR = 2, QUANT_ROWS = 16, LEAST_TILED = 4 };
#else
enum { FOUR = 2, QUANT_ROWS = VW == 16 ? 8 : 4, LEAST_TILED = QUANT_ROWS + 1 };
#endif

/*
 * A few rows of activations: x ≈ scale · code, |code| ≤ 127 · 256 + 127, with a scale for each row and group of the matrix. A
 * row's values depend on nothing else, and sums of codes are exact: results are the same for any rows beside it.
 */
typedef struct {
  int32_t *codes; /* [terms / 4][rows][FOUR]; for the matrix unit bytes, [groups][group / terms][2][rows][terms] */
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

/* A group's codes: whole, or for products of bytes their high and low ones, both signed. */
typedef union {
  int16_t whole[MOST_GROUP];
  int8_t bytes[2][MOST_GROUP];
} Codes;

typedef int16_t vs_unaligned __attribute__((vector_size(2 * VW), aligned(2), may_alias));
typedef int8_t vb_unaligned __attribute__((vector_size(VW), aligned(1), may_alias));

/* The largest, as an integer, of numbers without their signs: of no number, if there is one. */
INLINE float largest(vi v) {
#if VW == 16
  const int32_t most = _mm512_reduce_max_epi32((__m512i)v);
#else
  int32_t most = v[0];
  for (uint32_t i = 1; i < VW; i++) most = v[i] > most ? v[i] : most;
#endif
  float number;
  memcpy(&number, &most, 4);
  return number;
}

/* Rounds x[live], then 0 up to `group`; returns their scale, and what they sum to in *total. */
INLINE float round_group(const float *x, uint32_t live, uint32_t group, const int dots, Codes *to, float *total) {
  const float shift = 12582912.0f; /* 1.5 · 2²³: adding it rounds to an integer in the low bits */
  vi most = {0};
  for (uint32_t i = 0; i < live; i += VW) {
    const vi size = (vi)load_up_to(x + i, live - i) & 0x7fffffff, more = size > most;
    most = (size & more) | (most & ~more);
  }
  const float limit = largest(most), scale = limit / MOST_CODE + limit * 0.0f, inverse = scale > 1e-30f ? 1 / scale : 0;
  vi all = {0};
  for (uint32_t i = 0; i < group; i += VW) {
    const vf v = i < live ? load_up_to(x + i, live - i) : (vf){0};
    const vi code = ((vi)multiply_add(v, splat(inverse), splat(shift)) << 16) >> 16, low = (code << 24) >> 24;
    all += code;
    if (dots) {
      *(vb_unaligned *)(to->bytes[0] + i) = __builtin_convertvector((code - low) >> 8, vb_unaligned);
      *(vb_unaligned *)(to->bytes[1] + i) = __builtin_convertvector(low, vb_unaligned);
    } else *(vs_unaligned *)(to->whole + i) = __builtin_convertvector(code, vs_unaligned);
  }
  /* Exact: the sum has 23 bits. */
  *total = scale * sum(__builtin_convertvector(all, vf));
  return scale;
}

/* Terms of a line of A in the matrix unit, of which a group has one or two. */
static inline uint32_t tile_terms(uint32_t group) { return min_u32(64, group); }

/* A row's codes of a group to where the products take them: as Rounded has them. */
INLINE void place_codes(const Codes *codes, uint32_t group, uint32_t row, uint32_t rows, const int dots, int32_t *words) {
  if (rows >= LEAST_TILED) {
    const uint32_t terms = tile_terms(group);
    int8_t *to = (int8_t *)words + row * terms;
    for (uint32_t k = 0; k < group; k += terms)
      for (uint32_t part = 0; part < 2; part++, to += rows * terms) memcpy(to, codes->bytes[part] + k, terms);
    return;
  }
  words += row * FOUR;
  for (uint32_t i = 0; i < group; i += 4, words += rows * FOUR) {
    const int16_t *four = codes->whole + i, pairs[] = {four[0], four[2], four[1], four[3]};
    if (dots) {
      memcpy(words, codes->bytes[0] + i, 4);
      memcpy(words + 1, codes->bytes[1] + i, 4);
    } else memcpy(words, pairs, 8);
  }
}

INLINE void round_groups(const float *x, uint32_t inner, uint32_t group, uint32_t row, uint32_t rows, const int dots,
                         const Rounded *to) {
  int32_t *words = to->codes;
  float *factors = to->factors + row;
  for (uint32_t from = 0; from < inner; from += group, factors += 2 * rows, words += rows * group / 4 * FOUR) {
    Codes codes;
    factors[0] = round_group(x + from, min_u32(group, inner - from), group, dots, &codes, factors + rows);
    place_codes(&codes, group, row, rows, dots, words);
  }
}

/* Rounds x[inner]: row `row` of `rows`. What is no finite number makes its group's factors no numbers either. */
static void round_row(const float *x, uint32_t inner, uint32_t group, uint32_t row, uint32_t rows, const Rounded *to) {
  if (HAS_DOT) round_groups(x, inner, group, row, rows, 1, to);
  else round_groups(x, inner, group, row, rows, 0, to);
}

#endif
