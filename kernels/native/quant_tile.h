/*
 * Products of rounded rows with quantized matrices by the matrix unit (AMX in int8): C[16, 16] += A[16, 64] · B[64, 16], the
 * bytes of activations by codes as they lie in memory. The sums of a group are those of quant_dot.h, and what follows, too.
 */
#ifndef QUANT_TILE_H
#define QUANT_TILE_H
#include "quant_dot.h"

/* Terms of a span: a strip of rows stays in L1 for all panels of a tile, and their codes in L2 for all strips. */
enum { CODE_SPAN = 512 };

/* Bytes that the codes of one panel take in a span. */
enum { SPAN_BYTES = CODE_SPAN * PANEL };

/* Blocks of one panel in a span, and a strip of rows. */
typedef struct {
  Grouping grouping;
  uint32_t blocks, rows;
  const char *panel, *codes; /* scales and minimums; bytes */
  size_t step;               /* between the codes of two blocks */
  const int8_t *a;           /* as tiled_codes() has them */
  const float *factors;      /* as in Rounded */
  const char *next;          /* blocks to ask for, or 0 */
} Strip;

/* Shapes of tiles whose A has `terms` bytes a line; between this and quant_tiles_end() this thread may multiply. */
static void quant_tiles_begin(uint32_t terms) {
  const uint16_t bytes[] = {64, 64, terms, terms, 64};
  const uint8_t rows[] = {QUANT_ROWS, QUANT_ROWS, QUANT_ROWS, QUANT_ROWS, terms / 4};
  struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } shapes = {.palette = 1};
  memcpy(shapes.bytes, bytes, sizeof(bytes));
  memcpy(shapes.rows, rows, sizeof(rows));
  _tile_loadconfig(&shapes);
}
static void quant_tiles_end(void) { _tile_release(); }

/* Codes of 4 bits to bytes: `count` lines make twice as many. */
static void widen_codes(const char *codes, uint32_t count, char *to) {
  for (uint32_t line = 0; line < count; line++, codes += LINE, to += 2 * LINE) {
    const vi all = load_codes(codes);
    *(vi_unaligned *)to = all & 0x0f0f0f0f;
    *(vi_unaligned *)(to + LINE) = (all >> 4) & 0x0f0f0f0f;
  }
}

/* Sums of block i, high and low bytes of activations apart. */
INLINE void multiply_block(const Strip *s, uint32_t i, int32_t sums[2][QUANT_ROWS][PANEL]) {
  const uint32_t group = s->grouping.group, terms = tile_terms(group);
  const int8_t *a = s->a + (size_t)i * group * s->rows * 2;
  const char *codes = s->codes + i * s->step;
  _tile_zero(0);
  _tile_zero(1);
  for (uint32_t k = 0; k < group; k += terms, a += 2 * s->rows * terms, codes += terms * PANEL) {
    _tile_loadd(4, codes, LINE);
    _tile_loadd(2, a, terms);
    _tile_dpbsud(0, 2, 4);
    _tile_loadd(3, a + s->rows * terms, terms);
    _tile_dpbsud(1, 3, 4);
  }
  _tile_stored(0, sums[0], LINE);
  _tile_stored(1, sums[1], LINE);
}

/* acc[rows] += block i's sums, scaled; what is beyond the strip's rows is no matter. */
INLINE void scale_block(const Strip *s, uint32_t i, int32_t sums[2][QUANT_ROWS][PANEL], const uint32_t rows, vf *acc) {
  const char *block = s->panel + i * block_bytes(s->grouping);
  const float *factors = s->factors + (size_t)i * 2 * s->rows;
  const vf scale = load_weights(block, 0, F16), minimum = load_weights(block + HALVES, 0, F16);
  UNROLL
  for (uint32_t r = 0; r < rows; r++) {
    const vi sum = (load_codes((const char *)sums[0][r]) << 8) + load_codes((const char *)sums[1][r]);
    acc[r] = multiply_add(__builtin_convertvector(sum, vf), splat(factors[r]) * scale, acc[r]);
    acc[r] = multiply_add(splat(factors[s->rows + r]), minimum, acc[r]);
  }
}

/* c[strip's rows, PANEL], `pitch` floats apart, = or += the product. `rows`: the strip's or more, a constant. */
INLINE void strip_product(const Strip *s, const uint32_t rows, float *c, size_t pitch, int add) {
  _Alignas(64) int32_t sums[2][2][QUANT_ROWS][PANEL];
  vf acc[QUANT_ROWS];
  UNROLL
  for (uint32_t r = 0; r < rows; r++) acc[r] = add && r < s->rows ? load(c + r * pitch) : (vf){0};
  const size_t bytes = block_bytes(s->grouping);
  for (uint32_t i = 0; i < s->blocks; i++) {
    multiply_block(s, i, sums[i & 1]);
    for (uint32_t at = 0; s->next && at < bytes; at += LINE) __builtin_prefetch(s->next + i * bytes + at, 0, 2);
    /* One block later, when its sums have reached memory. */
    if (i) scale_block(s, i - 1, sums[(i - 1) & 1], rows, acc);
  }
  scale_block(s, s->blocks - 1, sums[(s->blocks - 1) & 1], rows, acc);
  UNROLL
  for (uint32_t r = 0; r < rows; r++)
    if (r < s->rows) store(c + r * pitch, acc[r]);
}

static void strip_panel(const Strip *s, float *c, size_t pitch, int add) {
  if (s->rows <= QUANT_ROWS / 2) strip_product(s, QUANT_ROWS / 2, c, pitch, add);
  else strip_product(s, QUANT_ROWS, c, pitch, add);
}

#endif
