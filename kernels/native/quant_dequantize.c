/* quant/matrix_dequantize: blocks of words to the panels of a matrix of floats. */
#include "quant.h"

typedef struct {
  uint32_t inner, cols, index;
  Grouping grouping;
} DequantizeParams;

enum { DEQUANTIZE_WORDS, DEQUANTIZE_W };

/* Blocks of one tile, one below the other. */
enum { DEQUANTIZE_BLOCKS = 8 };

static void dequantize_plan(const Step *step, Plan *plan) {
  const DequantizeParams *p = (const DequantizeParams *)step->params;
  plan->need[DEQUANTIZE_WORDS] = (p->index + 1ull) * quant_words(p->grouping, p->inner, p->cols);
  plan->need[DEQUANTIZE_W] = (uint64_t)p->inner * p->cols;
  plan->phases = 1;
}

static uint32_t dequantize_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const DequantizeParams *p = (const DequantizeParams *)step->params;
  (void)phase, (void)worker;
  return ceil_div(p->cols, PANEL) * ceil_div(ceil_div(p->inner, p->grouping.group), DEQUANTIZE_BLOCKS);
}

/* to[live, PANEL] = what a block says; what lies beyond the columns is 0. */
INLINE void dequantize_block(const char *block, uint32_t live, float *to, const uint32_t bits) {
  const uint32_t each = 32 / bits;
  for (uint32_t v = 0; v < PANEL; v += VW) {
    const vf scale = load_weights(block, v, F16), minimum = load_weights(block + HALVES, v, F16);
    const float *codes = (const float *)(block + 2 * HALVES) + v;
    for (uint32_t from = 0; from < live; from += each, codes += PANEL) {
      const vi word = (vi)load(codes);
      for (uint32_t i = 0; i < min_u32(each, live - from); i++) {
        const vi code = word >> (8 * (i & 3) + (i & 4)) & (int32_t)((1u << bits) - 1);
        store(to + (from + i) * PANEL + v, scale * __builtin_convertvector(code, vf) + minimum);
      }
    }
  }
}

static void dequantize_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const DequantizeParams *p = (const DequantizeParams *)step->params;
  const Grouping g = p->grouping;
  const uint32_t groups = ceil_div(p->inner, g.group), panels = ceil_div(p->cols, PANEL), panel = tile % panels;
  const uint32_t first = tile / panels * DEQUANTIZE_BLOCKS, end = min_u32(groups, first + DEQUANTIZE_BLOCKS);
  const char *matrix = (const char *)step->bind[DEQUANTIZE_WORDS].data;
  matrix += p->index * quant_matrix_bytes(g, p->inner, p->cols) + panel * quant_panel_bytes(g, p->inner);
  float *to = (float *)step->bind[DEQUANTIZE_W].data + (size_t)panel * p->inner * PANEL;
  (void)phase, (void)worker;
  for (uint32_t i = first; i < end; i++) {
    const uint32_t from = i * g.group, live = min_u32(g.group, p->inner - from);
    const char *block = matrix + i * block_bytes(g);
    if (g.bits == 8) dequantize_block(block, live, to + (size_t)from * PANEL, 8);
    else dequantize_block(block, live, to + (size_t)from * PANEL, 4);
  }
}

#define quant_matrix_dequantize {"quant/matrix_dequantize", dequantize_plan, dequantize_tiles, dequantize_tile}
