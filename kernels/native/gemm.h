/* Matrix products over groups of rows, each with its own matrix: blocked for the caches, dealt out as tiles. */
#ifndef GEMM_H
#define GEMM_H
#include "micro.h"

/* Inner length of a block of B (L1), rows of a block of A (L2), panels of a tile of C. */
enum { KC = 256, ROW_BLOCK = 256, PANEL_BLOCK = 8, TILE_COLS = PANEL_BLOCK * PANEL };

/* Rows [row, row + rows) of A times the matrix (or table) at B. */
typedef struct {
  uint32_t group, row, rows;
} Block;

/* What follows the product for one row of A, columns [col, col + cols): bias, activation, where it goes. */
typedef void Finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols, const float *sums);

typedef struct {
  const float *x; /* [rows, inner] */
  const uint32_t *gather; /* row i of A is row gather[i] of x */
  const void *b; /* groups of matrices, packed; or one table [cols, inner] */
  uint32_t type, table, inner, cols, rows, groups;
  const uint32_t *start; /* group g has rows [start[g], start[g + 1]); null: one group of all rows */
  Finish *finish;
} Gemm;

/* Head of the step's shared scratch, followed by the blocks and the packed rows. */
typedef struct {
  uint32_t blocks, panel_block;
} Blocking;

static inline uint32_t most_blocks(uint32_t rows, uint32_t groups) { return groups + rows / ROW_BLOCK + 1; }
static inline Block *blocks_of(const Worker *w) { return (Block *)(w->shared + 64); }
static inline float *packed_of(const Worker *w, uint32_t rows, uint32_t groups) {
  return (float *)(w->shared + 64 + lines(most_blocks(rows, groups) * sizeof(Block)));
}

/* Scratch of a product with at most these rows. */
static void gemm_plan(uint32_t rows, uint32_t inner, uint32_t groups, Plan *plan) {
  plan->phases = 2;
  plan->shared = 64 + lines(most_blocks(rows, groups) * sizeof(Block)) + 4ull * rows * inner;
  plan->each = 4ull * (ROW_BLOCK * TILE_COLS + 2 * KC * PANEL);
}

static uint32_t gemm_tiles(const Gemm *g, uint32_t phase, const Worker *w) {
  Blocking *blocking = (Blocking *)w->shared;
  const uint32_t panels = ceil_div(g->cols, PANEL);
  if (phase == 0) {
    Block *block = blocks_of(w);
    for (uint32_t group = 0; group < g->groups; group++) {
      const uint32_t first = g->start ? min_u32(g->start[group], g->rows) : 0;
      const uint32_t end = g->start ? min_u32(g->start[group + 1], g->rows) : g->rows;
      const uint32_t rows = end > first ? end - first : 0, parts = ceil_div(rows, ROW_BLOCK);
      for (uint32_t i = 0; i < parts; i++) {
        const uint32_t row = panel_row(rows, parts, i);
        *block++ = (Block){group, first + row, panel_row(rows, parts, i + 1) - row};
      }
    }
    blocking->blocks = block - blocks_of(w);
    uint32_t width = PANEL_BLOCK;
    while (width > PAIR && blocking->blocks * ceil_div(panels, width) < 8 * w->threads) width /= 2;
    blocking->panel_block = width;
    return blocking->blocks * ceil_div(g->inner, KC);
  }
  return blocking->blocks * ceil_div(panels, blocking->panel_block);
}

/* Rows [k0, k1) of one panel as f32 [k, PANEL]: in place if it is packed f32, else made in `buffer`. */
INLINE const float *fetch_panel(const Gemm *g, const void *b, uint32_t panel, uint32_t k0, uint32_t k1, float *buffer,
                                const uint32_t type) {
  const size_t at = ((size_t)panel * g->inner + k0) * PANEL;
  if (g->table) {
    transpose_panel(buffer, b, (size_t)panel * PANEL * g->inner + k0, g->inner, min_u32(PANEL, g->cols - panel * PANEL),
                    k1 - k0, type);
    return buffer;
  }
  if (type == F32) return (const float *)b + at;
  for (uint32_t i = 0; i < (k1 - k0) * PANEL; i += VW) store(buffer + i, load_weights(b, at + i, type));
  return buffer;
}

static void gemm_tile(const Step *step, const Gemm *g, uint32_t phase, uint32_t tile, const Worker *w) {
  const Blocking *blocking = (const Blocking *)w->shared;
  const Block block = blocks_of(w)[tile % blocking->blocks];
  const uint32_t part = tile / blocking->blocks;
  float *packed = packed_of(w, g->rows, g->groups) + (size_t)block.row * g->inner;
  if (phase == 0) {
    const float *x = g->gather ? g->x : g->x + (size_t)block.row * g->inner;
    pack_rows(x, g->inner, g->gather ? g->gather + block.row : 0, block.rows, g->inner, part * KC,
              min_u32(g->inner, part * KC + KC), packed);
    return;
  }
  const uint32_t first = part * blocking->panel_block, total = ceil_div(g->cols, PANEL);
  const uint32_t last = min_u32(total, first + blocking->panel_block);
  const size_t matrix = (size_t)total * PANEL * g->inner;
  const size_t size = g->type == F32 ? 4 : 2;
  const void *b = (const char *)g->b + block.group * matrix * size;
  float *c = (float *)w->own, *buffer = c + ROW_BLOCK * TILE_COLS;
  memset(c, 0, 4ull * block.rows * TILE_COLS);
  const uint32_t heights = ceil_div(block.rows, MR);
  /* A that fits L2 whole lets each panel of B stream once; otherwise B goes by blocks of KC rows. */
  const uint32_t span = (size_t)block.rows * g->inner <= 1 << 17 ? g->inner : KC;
  for (uint32_t outer = 0; outer < g->inner; outer += span)
    for (uint32_t p = first; p < last; p += PAIR)
      for (uint32_t k0 = outer; k0 < min_u32(g->inner, outer + span); k0 += KC) {
        const uint32_t k1 = min_u32(g->inner, k0 + KC), pairs = min_u32(PAIR, last - p);
        /* The first passes over this block of B bring in the next: further down the panels, or of the next ones. */
        const uint32_t passes = g->table ? 0 : min_u32(heights, 4);
        const int down = k1 < min_u32(g->inner, outer + span);
        const size_t next = (size_t)(down ? p : p + PAIR) * g->inner + (down ? k1 : outer);
        Panels panels = {.stride = PANEL, .step = PANEL * size / max_u32(1, passes)};
        for (uint32_t j = 0; j < pairs; j++) {
          panels.panel[j] = BY_TYPE(g->type, fetch_panel, g, b, p + j, k0, k1, buffer + j * KC * PANEL);
          panels.next[j] = (const char *)b + (next + j * g->inner) * PANEL * size;
        }
        for (uint32_t i = 0; i < heights; i++) {
          const uint32_t row = panel_row(block.rows, heights, i), mr = panel_row(block.rows, heights, i + 1) - row;
          const float *a = packed + (size_t)row * g->inner + (size_t)k0 * mr;
          float *to = c + row * TILE_COLS + (p - first) * PANEL;
          if (i < passes) micro_stream(mr, pairs, k1 - k0, a, &panels, to, TILE_COLS);
          else micro_packed(mr, pairs, k1 - k0, a, &panels, to, TILE_COLS);
          for (uint32_t j = 0; j < pairs && i < passes; j++) panels.next[j] += (k1 - k0) * panels.step;
        }
      }
  const uint32_t col = first * PANEL, cols = min_u32(g->cols, last * PANEL) - col;
  for (uint32_t r = 0; r < block.rows; r++)
    g->finish(step, block.group, block.row + r, col, cols, c + r * TILE_COLS);
}

#endif
