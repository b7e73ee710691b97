/* The blocked product of gemm.h by tiles: A and B are rounded to bf16 while they are packed, sums are f32. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H
#include "tile.h"

/* Most terms of a span, a whole number of tiles, and most elements of B in one: they stay in L2. */
enum { SPAN = 1024, SPAN_ELEMENTS = 1 << 18 };

/* Panels of B that are packed at a time: rows of them long enough to stream. */
enum { PACK_PANELS = 32 };

/* Panels whose sums for two strips of rows stay in L1. */
enum { NEAR_PANELS = 16 };

/*
 * Does each tile pack the rows of A that it needs? Not where several tiles need the same rows and are narrow, or have to
 * transpose them: for those phase 0 packs A.
 */
static inline int packs_own(const Gemm *g, const Blocking *blocking) {
  const int alone = blocking->panel_block >= ceil_div(g->cols, PANEL);
  return alone || (!g->transpose && blocking->panel_block >= NEAR_PANELS);
}

/*
 * Where A is transposed and a block is all of its rows, tiles pack B too, if A is not to be packed too often for that: what
 * is packed in phase 0 goes to memory and back, which takes longer.
 */
static void pack_together(const Gemm *g, Blocking *blocking, uint32_t threads) {
  const uint32_t panels = ceil_div(g->cols, PANEL), blocks = max_u32(1, blocking->blocks);
  const uint32_t parts = blocks > 1 ? ceil_div(2 * threads, blocks) : threads;
  const uint32_t width = min_u32(PANEL_BLOCK, ceil_div(ceil_div(panels, parts), 2) * 2);
  if (!g->transpose || g->rows > ROW_BLOCK || ceil_div(panels, width) * g->rows > 2 * g->cols) return;
  blocking->panel_block = width;
  blocking->packs_all = 1;
}

/* Most tiles of a span then, a divisor of those of a SPAN. */
enum { NEAR_SPAN = 8 };

/* Strips of rows that a tile packs at once: two that are next, or all of a block where they lie side by side. */
static inline uint32_t own_strips(const Gemm *g) { return g->transpose ? ROW_BLOCK / LINES : 2; }

/* Of a line of tiles through all groups' terms, those before the block's group: each begins with a new tile. */
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
  plan->each = 4ull * ROW_BLOCK * TILE_COLS + 2ull * own_strips(g) * LINES * SPAN;
  if (g->transpose && g->rows <= ROW_BLOCK) plan->each += 2ull * NEAR_SPAN * TERMS * TILE_COLS + 8ull * TILE_COLS;
}

/* Phase 0 packs a span of PACK_PANELS panels of a block's group, or a span of its rows; phase 1 multiplies. */
static uint32_t gemm_tiles(const Gemm *g, uint32_t phase, const Worker *w) {
  const uint32_t panels = ceil_div(g->cols, PANEL);
  if (phase == 0) {
    Blocking *blocking = gemm_blocks(g, w);
    pack_together(g, blocking, w->threads);
    if (blocking->packs_all) return 0;
    return blocking->blocks * ceil_div(blocking->longest, SPAN) * (ceil_div(panels, PACK_PANELS) + !packs_own(g, blocking));
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
 * Terms [k0, k1) of strips [first, last) of `count` → packed, `pitch` apart. Strips whose lines lie one after the other are
 * gone through one by one, those side by side together; what comes next is asked for. sums[LINES] of each += its terms.
 */
INLINE void pack_strips(const Lines *strips, uint32_t first, uint32_t last, uint32_t count, uint32_t k0, uint32_t k1,
                        const int side, const int of_b, uint16_t *packed, size_t pitch, vf *sums, const uint32_t type) {
  if (side)
    for (uint32_t k = k0; k < k1; k += TERMS)
      for (uint32_t i = first; i < last; i++) {
        ask_tile(strips + i, k + TERMS, side, type);
        uint16_t *to = packed + (i - first) * pitch + (k - k0) / TERMS * TILE;
        pack_tile(strips + i, k, side, of_b, to, sums ? sums + i : 0, type);
      }
  else
    for (uint32_t i = first; i < last; i++)
      for (uint32_t k = k0; k < k1; k += TERMS) {
        if (i + 2 < count) ask_tile(strips + i + 2, k, side, type);
        pack_tile(strips + i, k, side, of_b, packed + (i - first) * pitch + (k - k0) / TERMS * TILE, 0, type);
      }
}

/* The strips of a block of A; returns how many. */
static uint32_t strips_of(const Gemm *g, const Block *block, Lines *strips) {
  const uint32_t count = ceil_div(block->rows, LINES);
  for (uint32_t i = 0; i < count; i++) strips[i] = lines_of_a(g, block, i * LINES);
  return count;
}

static void pack_a(const Gemm *g, const Lines *strips, uint32_t first, uint32_t last, uint32_t count, uint32_t k0,
                   uint32_t k1, uint16_t *packed, size_t pitch) {
  if (g->transpose) pack_strips(strips, first, last, count, k0, k1, 1, 0, packed, pitch, 0, F32);
  else pack_strips(strips, first, last, count, k0, k1, 0, 0, packed, pitch, 0, F32);
}

/* `packed` and `sums`: of the group's first panel. */
INLINE void pack_b(const Gemm *g, const Block *block, uint32_t first, uint32_t last, uint32_t k0, uint32_t k1,
                   uint16_t *packed, float *sums, const uint32_t type) {
  const size_t pitch = (size_t)ceil_div(block->inner, TERMS) * TILE;
  Lines strips[PACK_PANELS];
  vf totals[PACK_PANELS] = {0};
  for (uint32_t p = first; p < last; p++) strips[p - first] = lines_of_b(g, block, p);
  const uint32_t count = last - first;
  packed += first * pitch + k0 / TERMS * TILE;
  if (g->layout == B_PANELS || g->layout == B_ROWS)
    pack_strips(strips, 0, count, count, k0, k1, 1, 1, packed, pitch, totals, type);
  else pack_strips(strips, 0, count, count, k0, k1, 0, 1, packed, pitch, 0, type);
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
  const uint32_t first = part / spans * PACK_PANELS, panels = ceil_div(g->cols, PANEL);
  if (first >= panels) {
    Lines strips[ROW_BLOCK / LINES];
    const uint32_t count = strips_of(g, &block, strips);
    uint16_t *to = packed_a(w, g, &block, index) + k0 / TERMS * TILE;
    pack_a(g, strips, 0, count, count, k0, k1, to, (size_t)ceil_div(block.inner, TERMS) * TILE);
  } else if (index == 0 || blocks[index - 1].group != block.group) {
    float *sums = g->sums ? span_sums(w, g, &block, span) : 0;
    const uint32_t last = min_u32(panels, first + PACK_PANELS);
    BY_TYPE(g->type, pack_b, g, &block, first, last, k0, k1, packed_b(w, g, &block), sums);
  }
}

/* Columns of panels [first, last) of two strips of rows. */
static void finish_strips(const Step *step, const Gemm *g, const Block *block, uint32_t row, uint32_t first,
                          uint32_t last, const float *sums, size_t pitch) {
  const uint32_t col = first * PANEL, cols = min_u32(g->cols, last * PANEL) - col;
  for (uint32_t r = row; r < min_u32(block->rows, row + 2 * LINES); r++)
    g->finish(step, block->group, block->row + r, col, cols, sums + (r - row) * pitch);
}

/* The sums of B's columns in panels [first, last), span after span. */
static void finish_sums(const Step *step, const Gemm *g, const Block *block, uint32_t first, uint32_t last,
                        const Worker *w) {
  const uint32_t col = first * PANEL, cols = min_u32(g->cols, last * PANEL) - col;
  float *total = (float *)w->own;
  memset(total, 0, 4 * (last - first) * PANEL);
  for (uint32_t span = 0; span < ceil_div(block->inner, SPAN); span++) {
    const float *sums = span_sums(w, g, block, span) + col;
    for (uint32_t i = 0; i < cols; i += VW) store(total + i, load(total + i) + load(sums + i));
  }
  g->finish(step, block->group, g->rows, col, cols, total);
}

/* Terms [k0, k1) of panels [first, last) of rows that lie side by side; sums[PANEL] of each += its terms. */
static void pack_own_b(const Gemm *g, const Block *block, uint32_t first, uint32_t last, uint32_t k0, uint32_t k1,
                       uint16_t *packed, size_t pitch, float *sums) {
  Lines strips[PANEL_BLOCK];
  for (uint32_t p = first; p < last; p++) strips[p - first] = lines_of_b(g, block, p);
  pack_strips(strips, 0, last - first, last - first, k0, k1, 1, 1, packed, pitch, (vf *)sums, F32);
}

/* to[n] += from, which is 0 then. */
static void move_sums(float *to, float *from, uint32_t n) {
  for (uint32_t i = 0; i < n; i += VW) {
    store(to + i, load(to + i) + load(from + i));
    store(from + i, (vf){0});
  }
}

/* Two strips of rows at a time go through all panels of the tile; after the last span they are finished. */
static void gemm_multiply(const Step *step, const Gemm *g, uint32_t tile, const Worker *w) {
  const Blocking *blocking = (const Blocking *)w->shared;
  const uint32_t index = tile % blocking->blocks, first = tile / blocking->blocks * blocking->panel_block;
  const Block block = blocks_of(w)[index];
  const uint32_t panels = min_u32(ceil_div(g->cols, PANEL) - first, blocking->panel_block), width = panels * PANEL;
  const int all = blocking->packs_all, packs = all || packs_own(g, blocking);
  const uint32_t tiles = ceil_div(block.inner, TERMS), long_span = SPAN_ELEMENTS / width / TERMS;
  const uint32_t most = all ? NEAR_SPAN : min_u32(SPAN / TERMS, max_u32(1, long_span));
  const uint32_t spans = max_u32(1, ceil_div(tiles, most));
  const size_t line = (size_t)tiles * TILE;
  float *c = (float *)w->own;
  uint16_t *own = (uint16_t *)(c + ROW_BLOCK * TILE_COLS), *own_b = own + own_strips(g) * LINES * SPAN;
  float *sums = (float *)(own_b + NEAR_SPAN * TERMS * TILE_COLS), *totals = sums + TILE_COLS;
  if (all) memset(sums, 0, 8 * TILE_COLS);
  Lines strips[ROW_BLOCK / LINES];
  const uint32_t count = packs ? strips_of(g, &block, strips) : ceil_div(block.rows, LINES);
  tiles_begin();
  for (uint32_t span = 0; span < spans; span++) {
    const uint32_t k0 = span * most, n = min_u32(most, tiles - k0);
    const size_t b_step = all ? n * TILE : line;
    const uint16_t *b = all ? own_b : packed_b(w, g, &block) + first * line + k0 * TILE;
    if (all) pack_own_b(g, &block, first, first + panels, k0 * TERMS, (k0 + n) * TERMS, own_b, b_step, sums);
    if (all && (k0 + n) * TERMS % SPAN == 0) move_sums(totals, sums, width);
    for (uint32_t i = 0; i < count; i += 2) {
      const uint32_t high = min_u32(2, count - i), held = i % own_strips(g);
      const size_t a_step = packs ? n * TILE : line;
      const uint16_t *a = packs ? own + held * a_step : packed_a(w, g, &block, index) + i * line + k0 * TILE;
      if (packs && held == 0)
        pack_a(g, strips, i, min_u32(count, i + own_strips(g)), count, k0 * TERMS, (k0 + n) * TERMS, own, a_step);
      for (uint32_t near = 0; near < panels; near += NEAR_PANELS) {
        const uint32_t end = min_u32(panels, near + NEAR_PANELS);
        float *to = spans > 1 ? c + i * LINES * width + near * PANEL : c;
        const uint32_t pitch = spans > 1 ? width : NEAR_PANELS * PANEL;
        for (uint32_t p = near; p < end; p += 2)
          multiply_tiles(high, min_u32(2, end - p), a, a_step, b + p * b_step, b_step, n,
                         to + (p - near) * PANEL, pitch, span > 0);
        if (span + 1 == spans) finish_strips(step, g, &block, i * LINES, first + near, first + end, to, pitch);
      }
    }
  }
  tiles_end();
  if (!g->sums || block.row) return;
  if (!all) {
    finish_sums(step, g, &block, first, first + panels, w);
    return;
  }
  move_sums(totals, sums, width);
  g->finish(step, block.group, g->rows, first * PANEL, min_u32(g->cols - first * PANEL, width), totals);
}

static void gemm_tile(const Step *step, const Gemm *g, uint32_t phase, uint32_t tile, const Worker *w) {
  if (phase == 0) gemm_pack(g, tile, w);
  else gemm_multiply(step, g, tile, w);
}

#endif
