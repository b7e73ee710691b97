/*
 * quant/matrix_quantize: src/base/quant.ts's search, 16 columns side by side, word for word. So every operation is rounded by
 * itself, in the order of the rows: multiply-adds may not fuse here, and nothing too small to be normal becomes 0.
 */
#include "half.h"
#include "quant.h"
#include "transpose.h"

typedef struct {
  uint32_t inner, cols, turned;
  Grouping grouping;
} QuantizeParams;

enum { QUANTIZE_X, QUANTIZE_IMPORTANCE, QUANTIZE_W, QUANTIZE_SUMS };

/* Blocks of one tile, one below the other. */
enum { QUANTIZE_BLOCKS = 4 };

/* Grids tried for 4 bits. */
enum { SEARCHES = 21 };

/* One group of VW columns: rows `PANEL` floats apart. */
typedef struct {
  const float *values, *importance;
  uint32_t live, bits;
  float levels;
} Columns;

/* A product that no addition may take in. */
INLINE vf product(vf a, vf b) {
  vf c = a * b;
  SETTLE(c);
  return c;
}

/* Codes as floats. */
INLINE vf code_of(vf value, vf scale, vf minimum, float levels) {
  const float shift = 12582912.0f;
  const vf code = vmin(splat(levels), vmax((vf){0}, (value - minimum) / scale));
  return (vf)((vi)((code + shift) - shift) & (scale > 0));
}

INLINE vf value_of(const Columns *columns, uint32_t k) { return load(columns->values + k * PANEL); }

INLINE vf error_of(const Columns *columns, vf scale, vf minimum) {
  vf error = {0};
  for (uint32_t k = 0; k < columns->live; k++) {
    const vf v = value_of(columns, k);
    const vf off = (product(scale, code_of(v, scale, minimum, columns->levels)) + minimum) - v;
    error += product(splat(columns->importance[k]), product(off, off));
  }
  return error;
}

/* Scale and minimum by weighted least squares, for codes on a grid of steps `first` from `low` on. */
INLINE void fit(const Columns *columns, vf first, vf low, vf *scale, vf *minimum) {
  vf sa = {0}, sl = {0}, sll = {0}, sv = {0}, slv = {0};
  for (uint32_t k = 0; k < columns->live; k++) {
    const vf v = value_of(columns, k), a = splat(columns->importance[k]);
    const vf l = code_of(v, first, low, columns->levels), al = product(a, l);
    sa += a;
    sl += al;
    sll += product(al, l);
    sv += product(a, v);
    slv += product(al, v);
  }
  const vf det = product(sa, sll) - product(sl, sl);
  *scale = nearest_half(blend(det > 0, (product(sa, slv) - product(sv, sl)) / det, first));
  *minimum = nearest_half(blend(det > 0, (product(sll, sv) - product(sl, slv)) / det, low));
}

/* The best of all grids. */
static void search(const Columns *columns, vf *scale, vf *minimum) {
  vf low = value_of(columns, 0), high = low;
  for (uint32_t k = 1; k < columns->live; k++) {
    /* −0 is below 0, and what is no number stays. */
    const vf v = value_of(columns, k);
    low = blend((v < low) | (v != v), v, blend(v == low, (vf)((vi)v | (vi)low), low));
    high = blend((v > high) | (v != v), v, high);
  }
  const vf range = high - low;
  *scale = (vf){0};
  *minimum = nearest_half(low);
  vf least = error_of(columns, *scale, *minimum);
  const uint32_t searches = columns->bits == 4 ? SEARCHES : 1;
  for (uint32_t j = 0; j < searches; j++) {
    const vf most = splat(columns->levels);
    const vf steps = searches > 1 ? (most - 1.0f) + product(splat(0.1f), splat(j)) : most;
    vf next, from;
    fit(columns, range / steps, low, &next, &from);
    const vf error = error_of(columns, next, from);
    const vi better = (range > 0) & (next > 0) & (error < least);
    *scale = blend(better, next, *scale);
    *minimum = blend(better, from, *minimum);
    least = blend(better, error, least);
  }
}

/*
 * Columns [first, first + VW) of a block's words: scales, minimums, codes. The sums grow by Σ (x − what they say)² and Σ x².
 */
static void write_columns(const Columns *columns, uint32_t group, uint32_t first, char *block, vf sums[2]) {
  const uint32_t bits = columns->bits, each = 32 / bits;
  vf scale, minimum;
  search(columns, &scale, &minimum);
  store_halves(block + 2 * first, scale);
  store_halves(block + HALVES + 2 * first, minimum);
  char *line = block + 2 * HALVES + 4 * first;
  for (uint32_t from = 0; from < group; from += each, line += LINE) {
    vi word = {0};
    for (uint32_t k = from; k < min_u32(columns->live, from + each); k++) {
      const vf v = value_of(columns, k), code = code_of(v, scale, minimum, columns->levels);
      const vf off = v - (scale * code + minimum);
      sums[0] += off * off;
      sums[1] += v * v;
      word |= ((vi)(code + 8388608.0f) & 0xff) << (8 * (k & 3) + (bits == 4 ? k & 4 : 0));
    }
    store((float *)line, (vf)word);
  }
}

static inline uint32_t groups_of(const QuantizeParams *p) { return ceil_div(p->inner, p->grouping.group); }

static void quantize_plan(const Step *step, Plan *plan) {
  const QuantizeParams *p = (const QuantizeParams *)step->params;
  plan->need[QUANTIZE_X] = (uint64_t)p->inner * p->cols;
  plan->need[QUANTIZE_IMPORTANCE] = p->inner;
  plan->need[QUANTIZE_W] = quant_words(p->grouping, p->inner, p->cols);
  plan->need[QUANTIZE_SUMS] = 2ull * groups_of(p) * ceil_div(p->cols, PANEL);
  plan->phases = 1;
  plan->each = sizeof(float) * MOST_GROUP * PANEL;
}

static uint32_t quantize_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const QuantizeParams *p = (const QuantizeParams *)step->params;
  (void)phase, (void)worker;
  return ceil_div(p->cols, PANEL) * ceil_div(groups_of(p), QUANTIZE_BLOCKS);
}

/* values[live, PANEL] = rows [from, from + live) of a panel of x, 0 beyond its columns. */
static void gather_block(const Step *step, uint32_t panel, uint32_t from, uint32_t live, float *values) {
  const QuantizeParams *p = (const QuantizeParams *)step->params;
  const float *x = step->bind[QUANTIZE_X].data;
  const uint32_t col = panel * PANEL, cols = min_u32(PANEL, p->cols - col);
  if (p->turned) {
    transpose_panel(values, x, (size_t)col * p->inner + from, p->inner, cols, live, F32);
    return;
  }
  memset(values, 0, sizeof(float) * live * PANEL);
  for (uint32_t k = 0; k < live; k++)
    memcpy(values + k * PANEL, x + (size_t)(from + k) * p->cols + col, sizeof(float) * cols);
}

/* Lets results be subnormal, or not: the opposite of what pool.c sets. Returns what was set before. */
static uint32_t keep_subnormals(void) {
#if defined(__x86_64__)
  const uint32_t before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before & ~(1u << 15));
  return before;
#else
  return 0;
#endif
}

static void quantize_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const QuantizeParams *p = (const QuantizeParams *)step->params;
  const Grouping g = p->grouping;
  const uint32_t panels = ceil_div(p->cols, PANEL), panel = tile % panels, first = tile / panels * QUANTIZE_BLOCKS;
  const uint32_t before = keep_subnormals();
  (void)phase;
  for (uint32_t i = first; i < min_u32(groups_of(p), first + QUANTIZE_BLOCKS); i++) {
    const uint32_t from = i * g.group, live = min_u32(g.group, p->inner - from);
    const size_t index = (size_t)panel * groups_of(p) + i;
    char *block = (char *)step->bind[QUANTIZE_W].data + index * block_bytes(g);
    const float *importance = (const float *)step->bind[QUANTIZE_IMPORTANCE].data + from;
    float *values = (float *)worker->own, *to = (float *)step->bind[QUANTIZE_SUMS].data + 2 * index;
    vf sums[2] = {{0}, {0}};
    gather_block(step, panel, from, live, values);
    for (uint32_t v = 0; v < PANEL; v += VW) {
      const Columns columns = {values + v, importance, live, g.bits, g.bits == 8 ? 255 : 15};
      write_columns(&columns, g.group, v, block, sums);
    }
    to[0] = sum(sums[0]);
    to[1] = sum(sums[1]);
  }
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(before);
#else
  (void)before;
#endif
}

#define quant_matrix_quantize {"quant/matrix_quantize", quantize_plan, quantize_tiles, quantize_tile}
