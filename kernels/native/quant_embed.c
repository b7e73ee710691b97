/* quant/embed_forward: rows of a quantized table, which are columns of the matrix, and position rows, added. */
#include "quant.h"

typedef struct {
  EmbedParams embed;
  Grouping grouping;
} QuantEmbedParams;

static void quant_embed_plan(const Step *step, Plan *plan) {
  const QuantEmbedParams *p = (const QuantEmbedParams *)step->params;
  embed_plan(step, plan);
  plan->need[EMBED_WTE] = quant_words(p->grouping, p->embed.width, p->embed.count);
}

/* to[inner] = column `col` of a matrix. */
static void copy_column(float *to, const char *matrix, Grouping g, uint32_t inner, uint32_t col) {
  const uint32_t lane = col % PANEL, mask = (1u << g.bits) - 1;
  const char *block = matrix + col / PANEL * quant_panel_bytes(g, inner);
  for (uint32_t from = 0; from < inner; from += g.group, block += block_bytes(g)) {
    const float scale = load_weight(block, lane, F16), minimum = load_weight(block, PANEL + lane, F16);
    const uint32_t *codes = (const uint32_t *)(block + 2 * HALVES) + lane;
    const uint32_t live = min_u32(g.group, inner - from);
    for (uint32_t k = 0; k < live; k++) {
      const uint32_t line = k * g.bits / 32, shift = g.bits == 8 ? 8 * (k & 3) : 8 * (k & 3) + (k & 4);
      to[from + k] = scale * (codes[line * PANEL] >> shift & mask) + minimum;
    }
  }
}

/* As embed_tile in embed.c. */
static void quant_embed_tile(const Step *step, uint32_t phase, uint32_t t, const Worker *worker) {
  const QuantEmbedParams *all = (const QuantEmbedParams *)step->params;
  const EmbedParams *p = &all->embed;
  const uint32_t token = ((const uint32_t *)step->bind[EMBED_TOKEN].data)[t];
  const uint32_t pos = ((const uint32_t *)step->bind[EMBED_POS].data)[t];
  const Binding *wpe = &step->bind[EMBED_WPE];
  float *x = (float *)step->bind[EMBED_X].data + (size_t)t * p->width;
  (void)phase, (void)worker;
  if (token < p->first || token - p->first >= p->count) return;
  copy_column(x, step->bind[EMBED_WTE].data, all->grouping, p->width, token - p->first);
  if ((pos + 1ull) * p->width <= wpe->count) BY_TYPE(wpe->type, copy_row, x, wpe->data, pos, p->width, 1);
}

#define quant_embed_forward {"quant/embed_forward", quant_embed_plan, embed_tiles, quant_embed_tile}
