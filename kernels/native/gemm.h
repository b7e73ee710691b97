/* Matrix products over groups of rows, each with its own matrix: blocked for the caches, dealt out as tiles. */
#ifndef GEMM_H
#define GEMM_H
#include "micro.h"

/* Inner length of a block of B (L1), rows of a block of A (L2), panels of a tile of C. */
enum { KC = 256, ROW_BLOCK = 256, PANEL_BLOCK = 16, TILE_COLS = PANEL_BLOCK * PANEL };

/* How B [inner, cols] lies in memory. */
enum {
  B_PANELS, /* packed by its columns: [ceil(cols / PANEL), inner, PANEL] */
  B_TURNED, /* the packed panels of its transpose: [ceil(inner / PANEL), cols, PANEL] */
  B_ROWS,   /* row-major */
  B_TABLE   /* its columns are the rows of a table [cols, inner] */
};

/* Rows [row, row + rows) of A, terms [first, first + inner) of the sums. */
typedef struct {
  uint32_t group, row, rows, first, inner;
} Block;

/* What follows the product for one row of A, columns [col, col + cols): bias, activation, where it goes. */
typedef void Finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols, const float *sums);

/* C = A · B, for each group of rows with its own B; or C = xᵀ · B, one for each group of rows of x and B. */
typedef struct {
  const float *x;         /* [rows, inner], or [inner, rows] to be transposed */
  size_t stride;          /* of the rows of x; 0: as long as they are */
  const uint32_t *gather; /* row i of A is row gather[i] of x */
  const void *b;          /* a matrix for each group, one table, or all rows */
  uint32_t type, layout, transpose, inner, cols, rows, groups;
  const uint32_t *start; /* group g has rows [start[g], start[g + 1]) of x; null: one group of all rows */
  Finish *finish;
  int sums; /* column sums of B are finished too, as row `rows` of C */
} Gemm;

/*
 * Head of the step's shared scratch, followed by the blocks and the packed rows. `own`: each tile packs the rows of A
 * that it needs, KC columns at a time; worth it where A is beyond L2, tiles are not narrow and few share their rows.
 */
typedef struct {
  uint32_t blocks, panel_block, own;
} Blocking;

static inline uint32_t most_blocks(const Gemm *g) {
  return g->transpose ? g->groups * ceil_div(g->rows, ROW_BLOCK) : g->groups + g->rows / ROW_BLOCK + 1;
}
static inline Block *blocks_of(const Worker *w) { return (Block *)(w->shared + 64); }
static inline float *packed_of(const Worker *w, const Gemm *g, const Block *block) {
  float *packed = (float *)(w->shared + 64 + lines(most_blocks(g) * sizeof(Block)));
  return packed + (size_t)block->first * g->rows + (size_t)block->row * block->inner;
}

/* Scratch of a product. */
static void gemm_plan(const Gemm *g, Plan *plan) {
  plan->phases = 2;
  plan->shared = 64 + lines(most_blocks(g) * sizeof(Block)) + 4ull * g->rows * g->inner;
  plan->each = 4ull * ((ROW_BLOCK + 1) * TILE_COLS + 2 * KC * PANEL + ROW_BLOCK * KC);
}

static uint32_t gemm_tiles(const Gemm *g, uint32_t phase, const Worker *w) {
  Blocking *blocking = (Blocking *)w->shared;
  const uint32_t panels = ceil_div(g->cols, PANEL);
  if (phase == 0) {
    Block *block = blocks_of(w);
    const uint32_t all = g->transpose ? g->inner : g->rows;
    uint32_t longest = 0;
    for (uint32_t group = 0; group < g->groups; group++) {
      const uint32_t first = g->start ? min_u32(g->start[group], all) : 0;
      const uint32_t end = g->start ? min_u32(g->start[group + 1], all) : all;
      const uint32_t some = end > first ? end - first : 0;
      const uint32_t rows = g->transpose ? g->rows : some, parts = ceil_div(rows, ROW_BLOCK);
      for (uint32_t i = 0; i < parts; i++) {
        const uint32_t row = panel_row(rows, parts, i), n = panel_row(rows, parts, i + 1) - row;
        *block++ = g->transpose ? (Block){group, row, n, first, some} : (Block){group, first + row, n, 0, g->inner};
      }
      longest = max_u32(longest, g->transpose ? some : g->inner);
    }
    blocking->blocks = block - blocks_of(w);
    const int large = (uint64_t)g->rows * g->inner >= 1 << 20;
    const uint32_t enough = (large ? 2 : 4) * w->threads;
    uint32_t width = PANEL_BLOCK;
    while (width > PAIR && blocking->blocks * ceil_div(panels, width) < enough) width /= 2;
    blocking->panel_block = width;
    blocking->own = large && width >= PANEL_BLOCK / 2 && panels <= 8 * PANEL_BLOCK;
    return blocking->own ? 0 : blocking->blocks * ceil_div(longest, KC);
  }
  return blocking->blocks * ceil_div(panels, blocking->panel_block);
}

/* Packs columns [k0, k1) of a block of A; `packed` begins with column `from` of `inner`. */
static void gemm_pack(const Gemm *g, const Block *block, uint32_t k0, uint32_t k1, uint32_t from, uint32_t inner,
                      float *packed) {
  const size_t stride = g->stride ? g->stride : g->transpose ? g->rows : g->inner;
  const float *x = g->x + (g->transpose ? (block->first + from) * stride + block->row : from);
  if (g->transpose) pack_columns(x, stride, block->rows, inner, k0 - from, k1 - from, packed);
  else if (g->gather) pack_rows(x, stride, g->gather + block->row, block->rows, inner, k0 - from, k1 - from, packed);
  else pack_rows(x + block->row * stride, stride, 0, block->rows, inner, k0 - from, k1 - from, packed);
}

/* Element of a group's B at which row k of a panel begins. */
INLINE size_t panel_at(const Gemm *g, uint32_t panel, uint32_t k) {
  const size_t col = (size_t)panel * PANEL;
  switch (g->layout) {
    case B_PANELS: return col * g->inner + (size_t)k * PANEL;
    case B_TURNED: return col * PANEL + (size_t)k * g->cols;
    case B_ROWS: return col + (size_t)k * g->cols;
    default: return col * g->inner + k;
  }
}

/* Rows [k0, k1) of one panel of a group's B as f32 [k, PANEL]: in place if it is packed f32, else made in `buffer`. */
INLINE const float *fetch_panel(const Gemm *g, const void *b, uint32_t panel, uint32_t k0, uint32_t k1, float *buffer,
                                const uint32_t type) {
  const uint32_t live = min_u32(PANEL, g->cols - panel * PANEL), n = k1 - k0;
  const size_t at = panel_at(g, panel, k0);
  switch (g->layout) {
    case B_PANELS:
      if (type == F32) return (const float *)b + at;
      for (uint32_t i = 0; i < n * PANEL; i += VW) store(buffer + i, load_weights(b, at + i, type));
      break;
    case B_TURNED:
      for (uint32_t k = 0; k < n; k += PANEL)
        transpose_panel(buffer + k * PANEL, b, at + (size_t)k * g->cols, PANEL, live, min_u32(PANEL, n - k), type);
      break;
    case B_ROWS:
      for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < PANEL; i += VW) {
          float *to = buffer + k * PANEL + i;
          const size_t from = at + (size_t)k * g->cols + i;
          if (i + VW <= live) store(to, load_weights(b, from, type));
          else
            for (uint32_t j = 0; j < VW; j++) to[j] = i + j < live ? load_weight(b, from + j, type) : 0;
        }
      break;
    default: transpose_panel(buffer, b, at, g->inner, live, n, type);
  }
  return buffer;
}

/* The first passes over a block of B ask for what is next: `step` bytes further for each row, `advance` for each pass. */
typedef struct {
  uint32_t passes;
  size_t step, advance;
} Ahead;

static Ahead ahead_of(const Gemm *g, uint32_t heights, uint32_t n) {
  const size_t size = g->type == F32 ? 4 : 2;
  const uint32_t few = min_u32(heights, 4), all = min_u32(heights, PANEL);
  switch (g->layout) {
    case B_PANELS: return (Ahead){few, PANEL * size / few, PANEL * size / few * n};
    case B_TURNED: return (Ahead){min_u32(all, ceil_div(n, PANEL)), PANEL * PANEL * size / n, PANEL * size * g->cols};
    case B_ROWS: return (Ahead){1, size * g->cols, 0};
    default: return (Ahead){all, size, size * g->inner};
  }
}

/* sums[PANEL] += the n rows of a panel. */
static void add_panel(float *sums, const float *panel, uint32_t n) {
  for (uint32_t v = 0; v < PANEL; v += VW) {
    vf total = {0};
    for (uint32_t k = 0; k < n; k++) total += load(panel + k * PANEL + v);
    store(sums + v, load(sums + v) + total);
  }
}

/* Where a group's B begins. */
static const void *gemm_matrix(const Gemm *g, const Block *block) {
  const size_t size = g->type == F32 ? 4 : 2;
  const size_t panels = (size_t)ceil_div(g->cols, PANEL) * PANEL * g->inner;
  const size_t turned = (size_t)ceil_div(g->inner, PANEL) * PANEL * g->cols;
  const size_t at = g->layout == B_ROWS ? (size_t)block->first * g->cols
                                        : block->group * (g->layout == B_TURNED ? turned : panels);
  return (const char *)g->b + at * size;
}

static void gemm_tile(const Step *step, const Gemm *g, uint32_t phase, uint32_t tile, const Worker *w) {
  const Blocking *blocking = (const Blocking *)w->shared;
  const Block block = blocks_of(w)[tile % blocking->blocks];
  const uint32_t part = tile / blocking->blocks;
  float *whole = packed_of(w, g, &block);
  if (phase == 0) {
    const uint32_t k0 = part * KC, k1 = min_u32(block.inner, k0 + KC);
    if (k0 < k1) gemm_pack(g, &block, k0, k1, 0, block.inner, whole);
    return;
  }
  const uint32_t first = part * blocking->panel_block, total = ceil_div(g->cols, PANEL);
  const uint32_t last = min_u32(total, first + blocking->panel_block);
  const uint32_t col = first * PANEL, cols = min_u32(g->cols, last * PANEL) - col, width = (last - first) * PANEL;
  const size_t size = g->type == F32 ? 4 : 2, pitch = panel_at(g, 1, 0);
  const void *b = gemm_matrix(g, &block);
  float *c = (float *)w->own, *buffer = c + (ROW_BLOCK + 1) * TILE_COLS, *own = buffer + 2 * KC * PANEL;
  float *sums = c + block.rows * width;
  const int sum = g->sums && block.row == 0;
  memset(c, 0, 4ull * (block.rows + sum) * width);
  const uint32_t heights = ceil_div(block.rows, MR);
  /* A that fits L2 whole lets each panel of B stream once; otherwise B goes by blocks of KC rows. */
  const uint32_t span = !blocking->own && (size_t)block.rows * block.inner <= 1 << 17 ? block.inner : KC;
  for (uint32_t outer = 0; outer < block.inner; outer += span) {
    const uint32_t end = min_u32(block.inner, outer + span);
    const uint32_t from = blocking->own ? outer : 0, inner = blocking->own ? end - outer : block.inner;
    const float *packed = blocking->own ? own : whole;
    if (blocking->own) gemm_pack(g, &block, outer, end, outer, inner, own);
    for (uint32_t p = first; p < last; p += PAIR)
      for (uint32_t k0 = outer; k0 < end; k0 += KC) {
        const uint32_t k1 = min_u32(end, k0 + KC), pairs = min_u32(PAIR, last - p);
        /* Next: further down the panels, the panels beside them, those of the next span, or of the next tile. */
        const size_t next = k1 < end            ? panel_at(g, p, k1)
                            : p + PAIR < last   ? panel_at(g, p + PAIR, outer)
                            : end < block.inner ? panel_at(g, first, end)
                                                : panel_at(g, last, 0);
        const Ahead ahead = ahead_of(g, heights, k1 - k0);
        Panels panels = {.stride = PANEL, .step = ahead.step};
        for (uint32_t j = 0; j < pairs; j++) {
          panels.panel[j] = BY_TYPE(g->type, fetch_panel, g, b, p + j, k0, k1, buffer + j * KC * PANEL);
          panels.next[j] = (const char *)b + (next + j * pitch) * size;
          if (sum) add_panel(sums + (p + j - first) * PANEL, panels.panel[j], k1 - k0);
        }
        for (uint32_t i = 0; i < heights; i++) {
          const uint32_t row = panel_row(block.rows, heights, i), mr = panel_row(block.rows, heights, i + 1) - row;
          const float *a = packed + (size_t)row * inner + (size_t)(k0 - from) * mr;
          float *to = c + row * width + (p - first) * PANEL;
          if (i < ahead.passes) micro_stream(mr, pairs, k1 - k0, a, &panels, to, width);
          else micro_packed(mr, pairs, k1 - k0, a, &panels, to, width);
          for (uint32_t j = 0; j < pairs && i < ahead.passes; j++) panels.next[j] += ahead.advance;
        }
      }
  }
  for (uint32_t r = 0; r < block.rows; r++)
    g->finish(step, block.group, block.row + r, col, cols, c + r * width);
  if (sum) g->finish(step, block.group, g->rows, col, cols, sums);
}

/* to[cols] = or += sums. Rows of C are `stride` floats apart; one further down is asked for. */
static void finish_row(float *to, size_t stride, uint32_t cols, const float *sums, int add) {
  for (uint32_t i = 0; i < cols; i += VW) {
    __builtin_prefetch(to + 4 * stride + i, 1);
    const uint32_t n = min_u32(VW, cols - i);
    if (n == VW) store(to + i, add ? load(to + i) + load(sums + i) : load(sums + i));
    else store_part(to + i, add ? load_part(to + i, n) + load(sums + i) : load(sums + i), n);
  }
}

#endif
