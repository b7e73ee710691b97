/* The blocked product of gemm.h in f32: A and B go through registers as micro.h has them. */
#ifndef GEMM_F32_H
#define GEMM_F32_H
#include "micro.h"

/* Inner length of a block of B (L1). */
enum { KC = 256 };

/*
 * Does each tile pack the rows of A that it needs, KC columns at a time? Worth it where A is beyond L2, tiles are not narrow
 * and few share their rows.
 */
static inline int packs_own(const Gemm *g, const Blocking *blocking) {
  return is_large(g) && blocking->panel_block >= PANEL_BLOCK / 2 && ceil_div(g->cols, PANEL) <= 8 * PANEL_BLOCK;
}

static inline float *packed_of(const Worker *w, const Gemm *g, const Block *block) {
  float *packed = (float *)(w->shared + blocking_bytes(g));
  return packed + (size_t)block->first * g->rows + (size_t)block->row * block->inner;
}

/* Scratch of a product. */
static void gemm_plan(const Gemm *g, Plan *plan) {
  plan->phases = 2;
  plan->shared = blocking_bytes(g) + 4ull * g->rows * g->inner;
  plan->each = 4ull * ((ROW_BLOCK + 1) * TILE_COLS + 2 * KC * PANEL + ROW_BLOCK * KC);
}

static uint32_t gemm_tiles(const Gemm *g, uint32_t phase, const Worker *w) {
  if (phase == 0) {
    const Blocking *blocking = gemm_blocks(g, w);
    return packs_own(g, blocking) ? 0 : blocking->blocks * ceil_div(blocking->longest, KC);
  }
  const Blocking *blocking = (const Blocking *)w->shared;
  return blocking->blocks * ceil_div(ceil_div(g->cols, PANEL), blocking->panel_block);
}

/* to[n] = from[n] in two pieces that overlap; n ≤ 16. */
INLINE void copy_few(float *to, const float *from, uint32_t n) {
  if (n >= 8) {
    memcpy(to, from, 32);
    memcpy(to + n - 8, from + n - 8, 32);
  } else if (n >= 4) {
    memcpy(to, from, 16);
    memcpy(to + n - 4, from + n - 4, 16);
  } else
    for (uint32_t i = 0; i < n; i++) to[i] = from[i];
}

/* The panels of pack_rows of the transpose of `x`: its rows [k0, k1), `stride` floats apart, `rows` of their columns. */
static void pack_columns(const float *x, size_t stride, uint32_t rows, uint32_t inner, uint32_t k0, uint32_t k1,
                         float *packed) {
  enum { STRIP = 8 };
  const uint32_t panels = ceil_div(rows, MR);
  for (uint32_t first = k0; first < k1; first += STRIP) {
    for (uint32_t k = first + STRIP; k < min_u32(k1, first + 2 * STRIP); k++) ask(x + k * stride, rows);
    for (uint32_t i = 0; i < panels; i++) {
      const uint32_t row = panel_row(rows, panels, i), mr = panel_row(rows, panels, i + 1) - row;
      float *to = packed + (size_t)row * inner + (size_t)first * mr;
      for (uint32_t k = first; k < min_u32(k1, first + STRIP); k++, to += mr) copy_few(to, x + k * stride + row, mr);
    }
  }
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

/* micro_packed, asking for `next`. */
ALONE void micro_stream(uint32_t mr, uint32_t pairs, uint32_t inner, const float *a, const Panels *b, float *c,
                        size_t ldc) {
  micro_rows(mr, pairs, 0, 1, inner, a, b, c, ldc);
}

/* sums[PANEL] += the n rows of a panel. */
static void add_panel(float *sums, const float *panel, uint32_t n) {
  for (uint32_t v = 0; v < PANEL; v += VW) {
    vf total = {0};
    for (uint32_t k = 0; k < n; k++) total += load(panel + k * PANEL + v);
    store(sums + v, load(sums + v) + total);
  }
}

static void gemm_tile(const Step *step, const Gemm *g, uint32_t phase, uint32_t tile, const Worker *w) {
  const Blocking *blocking = (const Blocking *)w->shared;
  const Block block = blocks_of(w)[tile % blocking->blocks];
  const uint32_t part = tile / blocking->blocks;
  float *whole = packed_of(w, g, &block);
  const int packs = packs_own(g, blocking);
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
  const uint32_t span = !packs && (size_t)block.rows * block.inner <= 1 << 17 ? block.inner : KC;
  for (uint32_t outer = 0; outer < block.inner; outer += span) {
    const uint32_t end = min_u32(block.inner, outer + span);
    const uint32_t from = packs ? outer : 0, inner = packs ? end - outer : block.inner;
    const float *packed = packs ? own : whole;
    if (packs) gemm_pack(g, &block, outer, end, outer, inner, own);
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

#endif
