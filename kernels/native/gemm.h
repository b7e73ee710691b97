/* Matrix products over groups of rows, each with its own matrix: blocked for the caches, dealt out as tiles. */
#ifndef GEMM_H
#define GEMM_H
#include "transpose.h"

/* Rows of a block of A (L2), most panels of a tile of C. */
#ifdef TILES
enum { ROW_BLOCK = 256, PANEL_BLOCK = 64 };
#else
enum { ROW_BLOCK = 256, PANEL_BLOCK = 16 };
#endif
enum { TILE_COLS = PANEL_BLOCK * PANEL };

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

/* Where a group's B begins. */
static const void *gemm_matrix(const Gemm *g, const Block *block) {
  const size_t size = g->type == F32 ? 4 : 2;
  const size_t panels = (size_t)ceil_div(g->cols, PANEL) * PANEL * g->inner;
  const size_t turned = (size_t)ceil_div(g->inner, PANEL) * PANEL * g->cols;
  const size_t at = g->layout == B_ROWS ? (size_t)block->first * g->cols
                                        : block->group * (g->layout == B_TURNED ? turned : panels);
  return (const char *)g->b + at * size;
}

/* Head of the step's shared scratch, followed by the blocks. */
typedef struct {
  uint32_t blocks, longest, panel_block; /* how many, the most terms of one, panels of a tile of C */
  uint32_t packs_all;                    /* each tile packs all that it multiplies (gemm_bf16.h) */
} Blocking;

static inline uint32_t most_blocks(const Gemm *g) {
  return g->transpose ? g->groups * ceil_div(g->rows, ROW_BLOCK) : g->groups + g->rows / ROW_BLOCK + 1;
}
static inline Block *blocks_of(const Worker *w) { return (Block *)(w->shared + 64); }
/* Bytes of the head and the blocks. */
static inline uint64_t blocking_bytes(const Gemm *g) { return 64 + lines(most_blocks(g) * sizeof(Block)); }

/* Large products need fewer tiles: each thread finds some to do for long enough. */
static inline int is_large(const Gemm *g) { return (uint64_t)g->rows * g->inner >= 1 << 20; }

/* Lists the blocks of all groups; decides how wide tiles are. */
static Blocking *gemm_blocks(const Gemm *g, const Worker *w) {
  Blocking *blocking = (Blocking *)w->shared;
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
  const uint32_t blocks = block - blocks_of(w), enough = (is_large(g) ? 2 : 4) * w->threads;
  uint32_t width = PANEL_BLOCK;
  while (width > PAIR && blocks * ceil_div(ceil_div(g->cols, PANEL), width) < enough) width /= 2;
  *blocking = (Blocking){blocks, longest, width, 0};
  return blocking;
}

#ifdef TILES
#include "gemm_bf16.h"
#else
#include "gemm_f32.h"
#endif

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
