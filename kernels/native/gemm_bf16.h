/* The blocked product of gemm.h by tiles: A and B are rounded to bf16 while they are packed, sums are f32. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H
#include "tile.h"

/* Terms of a span: what a tile of C needs of A and B for one fits L2. A whole number of tiles. */
enum { SPAN = 1024 };

/* Tiles of one line of A before its blocks' or B's panels' own: groups of terms begin with a tile each. */
static inline size_t tiles_before(const Gemm *g, const Block *block) {
  return g->transpose ? block->first / TERMS + block->group : (size_t)block->group * ceil_div(g->inner, TERMS);
}

/* Tiles of all of B, an upper bound. */
static inline size_t tiles_of_b(const Gemm *g) {
  const size_t panels = ceil_div(g->cols, PANEL);
  return panels * (g->transpose ? g->inner / TERMS + g->groups : (size_t)g->groups * ceil_div(g->inner, TERMS));
}

/* Strips of LINES rows of all blocks (of one group, if A is transposed), an upper bound. */
static inline size_t strips_of_a(const Gemm *g) {
  return g->rows / LINES + (g->transpose ? ceil_div(g->rows, ROW_BLOCK) : most_blocks(g));
}

static inline size_t tiles_of_a(const Gemm *g) {
  return strips_of_a(g) * (g->transpose ? g->inner / TERMS + g->groups : ceil_div(g->inner, TERMS));
}

/* Spans of all groups, an upper bound. */
static inline size_t most_spans(const Gemm *g) { return g->inner / SPAN + g->groups; }

/* B, [panel][tile] of each group; block `index`'s rows of A, [strip][tile]; sums of B's columns, of each span. */
static inline uint16_t *packed_b(const Worker *w, const Gemm *g, const Block *block) {
  uint16_t *packed = (uint16_t *)(w->shared + blocking_bytes(g));
  return packed + ceil_div(g->cols, PANEL) * tiles_before(g, block) * TILE;
}
static inline uint16_t *packed_a(const Worker *w, const Gemm *g, const Block *block, uint32_t index) {
  uint16_t *packed = (uint16_t *)(w->shared + blocking_bytes(g)) + tiles_of_b(g) * TILE;
  const size_t tiles = ceil_div(block->inner, TERMS);
  if (!g->transpose) return packed + (block->row / LINES + index) * tiles * TILE;
  const uint32_t part = index % ceil_div(g->rows, ROW_BLOCK);
  return packed + (tiles_before(g, block) * strips_of_a(g) + (block->row / LINES + part) * tiles) * TILE;
}
static inline float *span_sums(const Worker *w, const Gemm *g, const Block *block, uint32_t span) {
  float *sums = (float *)(w->shared + blocking_bytes(g) + 2 * TILE * (tiles_of_b(g) + tiles_of_a(g)));
  return sums + (block->first / SPAN + block->group + span) * ceil_div(g->cols, PANEL) * PANEL;
}

/* Scratch of a product. */
static void gemm_plan(const Gemm *g, Plan *plan) {
  plan->phases = 2;
  plan->shared = blocking_bytes(g) + 2 * TILE * (tiles_of_b(g) + tiles_of_a(g));
  if (g->sums) plan->shared += 4 * most_spans(g) * ceil_div(g->cols, PANEL) * PANEL;
  plan->each = 4ull * ROW_BLOCK * TILE_COLS;
}

/* Phase 0 packs a span of a block's rows, or a span of PANEL_BLOCK panels of its group; phase 1 multiplies. */
static uint32_t gemm_tiles(const Gemm *g, uint32_t phase, const Worker *w) {
  const uint32_t panels = ceil_div(g->cols, PANEL);
  if (phase == 0) {
    const Blocking *blocking = gemm_blocks(g, w);
    return blocking->blocks * ceil_div(blocking->longest, SPAN) * (1 + ceil_div(panels, PANEL_BLOCK));
  }
  const Blocking *blocking = (const Blocking *)w->shared;
  return blocking->blocks * ceil_div(panels, blocking->panel_block);
}

/* LINES rows of a block of A from `row` on. */
static Lines lines_of_a(const Gemm *g, const Block *block, uint32_t row) {
  const size_t stride = g->stride ? g->stride : g->transpose ? g->rows : g->inner;
  Lines from = {.data = g->x, .live = min_u32(LINES, block->rows - row), .terms = block->inner};
  from.step = g->transpose ? stride : VW;
  row += block->row;
  if (g->transpose) from.line[0] = block->first * stride + row;
  else
    for (uint32_t i = 0; i < from.live; i++) from.line[i] = (g->gather ? g->gather[row + i] : row + i) * stride;
  return from;
}

/* The columns of one panel of a group's B. */
static Lines lines_of_b(const Gemm *g, const Block *block, uint32_t panel) {
  Lines from = {.data = gemm_matrix(g, block), .terms = block->inner};
  from.live = min_u32(PANEL, g->cols - panel * PANEL);
  from.step = g->layout == B_PANELS ? PANEL : g->layout == B_ROWS ? g->cols : g->layout == B_TURNED ? PANEL * g->cols : VW;
  const size_t apart = g->layout == B_TURNED ? PANEL : g->layout == B_TABLE ? g->inner : 0;
  for (uint32_t i = 0; i < from.live; i++) from.line[i] = panel_at(g, panel, 0) + i * apart;
  return from;
}

/*
 * Terms [k0, k1) of `count` ≤ PANEL_BLOCK strips → packed, `pitch` apart. Each asks for its next tile: rows that lie one
 * after the other are gone through one strip after the other, those side by side together. sums[LINES] of each += its terms.
 */
INLINE void pack_strips(const Lines *strips, uint32_t count, uint32_t k0, uint32_t k1, const int side, const int of_b,
                        uint16_t *packed, size_t pitch, vf *sums, const uint32_t type) {
  if (side)
    for (uint32_t k = k0; k < k1; k += TERMS)
      for (uint32_t i = 0; i < count; i++) {
        ask_tile(strips + i, k + TERMS, side, type);
        pack_tile(strips + i, k, side, of_b, packed + i * pitch + k / TERMS * TILE, sums ? sums + i : 0, type);
      }
  else
    for (uint32_t i = 0; i < count; i++)
      for (uint32_t k = k0; k < k1; k += TERMS) {
        if (i + 1 < count) ask_tile(strips + i + 1, k, side, type);
        pack_tile(strips + i, k, side, of_b, packed + i * pitch + k / TERMS * TILE, 0, type);
      }
}

static void pack_a(const Gemm *g, const Block *block, uint32_t k0, uint32_t k1, uint16_t *packed) {
  const size_t pitch = (size_t)ceil_div(block->inner, TERMS) * TILE;
  const uint32_t count = ceil_div(block->rows, LINES);
  Lines strips[ROW_BLOCK / LINES];
  for (uint32_t i = 0; i < count; i++) strips[i] = lines_of_a(g, block, i * LINES);
  if (g->transpose) pack_strips(strips, count, k0, k1, 1, 0, packed, pitch, 0, F32);
  else pack_strips(strips, count, k0, k1, 0, 0, packed, pitch, 0, F32);
}

/* `packed` and `sums`: of the group's first panel. */
INLINE void pack_b(const Gemm *g, const Block *block, uint32_t first, uint32_t last, uint32_t k0, uint32_t k1,
                   uint16_t *packed, float *sums, const uint32_t type) {
  const size_t pitch = (size_t)ceil_div(block->inner, TERMS) * TILE;
  Lines strips[PANEL_BLOCK];
  vf totals[PANEL_BLOCK] = {0};
  for (uint32_t p = first; p < last; p++) strips[p - first] = lines_of_b(g, block, p);
  packed += first * pitch;
  if (g->layout == B_PANELS || g->layout == B_ROWS)
    pack_strips(strips, last - first, k0, k1, 1, 1, packed, pitch, totals, type);
  else pack_strips(strips, last - first, k0, k1, 0, 1, packed, pitch, 0, type);
  for (uint32_t p = first; p < last && sums; p++) store(sums + p * PANEL, totals[p - first]);
}

static void gemm_pack(const Gemm *g, uint32_t tile, const Worker *w) {
  const Blocking *blocking = (const Blocking *)w->shared;
  const Block *blocks = blocks_of(w);
  const uint32_t index = tile % blocking->blocks, part = tile / blocking->blocks;
  const uint32_t spans = ceil_div(blocking->longest, SPAN), span = part % spans;
  const Block block = blocks[index];
  const uint32_t k0 = span * SPAN, k1 = min_u32(block.inner, k0 + SPAN);
  if (k0 >= k1) return;
  if (part < spans) pack_a(g, &block, k0, k1, packed_a(w, g, &block, index));
  else if (index == 0 || blocks[index - 1].group != block.group) {
    const uint32_t first = (part / spans - 1) * PANEL_BLOCK;
    const uint32_t last = min_u32(ceil_div(g->cols, PANEL), first + PANEL_BLOCK);
    float *sums = g->sums ? span_sums(w, g, &block, span) : 0;
    BY_TYPE(g->type, pack_b, g, &block, first, last, k0, k1, packed_b(w, g, &block), sums);
  }
}

/* Two strips of rows at a time go through all panels of the tile; after the last span they are finished. */
static void gemm_multiply(const Step *step, const Gemm *g, uint32_t tile, const Worker *w) {
  const Blocking *blocking = (const Blocking *)w->shared;
  const uint32_t index = tile % blocking->blocks, first = tile / blocking->blocks * blocking->panel_block;
  const Block block = blocks_of(w)[index];
  const uint32_t last = min_u32(ceil_div(g->cols, PANEL), first + blocking->panel_block);
  const uint32_t col = first * PANEL, cols = min_u32(g->cols, last * PANEL) - col, width = (last - first) * PANEL;
  const size_t line = (size_t)ceil_div(block.inner, TERMS) * TILE;
  const uint32_t spans = max_u32(1, ceil_div(block.inner, SPAN));
  const uint16_t *a = packed_a(w, g, &block, index), *b = packed_b(w, g, &block) + first * line;
  float *c = (float *)w->own;
  tiles_begin();
  for (uint32_t span = 0; span < spans; span++) {
    const uint32_t k0 = span * (SPAN / TERMS), n = min_u32(SPAN / TERMS, ceil_div(block.inner, TERMS) - k0);
    for (uint32_t row = 0; row < block.rows; row += 2 * LINES) {
      const uint32_t rows = min_u32(2 * LINES, block.rows - row);
      float *to = c + (spans > 1 ? row * width : 0);
      for (uint32_t p = 0; p < last - first; p += 2)
        multiply_tiles(ceil_div(rows, LINES), min_u32(2, last - first - p), a + row / LINES * line + k0 * TILE, line,
                       b + p * line + k0 * TILE, line, n, to + p * PANEL, width, span > 0);
      for (uint32_t r = 0; r < rows && span + 1 == spans; r++)
        g->finish(step, block.group, block.row + row + r, col, cols, to + r * width);
    }
  }
  tiles_end();
  if (!g->sums || block.row) return;
  memset(c, 0, 4 * width);
  for (uint32_t span = 0; span < ceil_div(block.inner, SPAN); span++)
    for (uint32_t i = 0; i < width; i += VW) store(c + i, load(c + i) + load(span_sums(w, g, &block, span) + col + i));
  g->finish(step, block.group, g->rows, col, cols, c);
}

static void gemm_tile(const Step *step, const Gemm *g, uint32_t phase, uint32_t tile, const Worker *w) {
  if (phase == 0) gemm_pack(g, tile, w);
  else gemm_multiply(step, g, tile, w);
}

#endif
