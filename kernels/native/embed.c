/* embed/embed_forward: token and position rows, added. embed/logits_forward: products with one part of the embedding. */
#include "gemm.h"

typedef struct {
  uint32_t rows, width, first, count;
} EmbedParams;

typedef struct {
  uint32_t rows, width, vocabulary, first, count;
} LogitsParams;

enum { EMBED_TOKEN, EMBED_POS, EMBED_WTE, EMBED_WPE, EMBED_X };
enum { LOGITS_X, LOGITS_WTE, LOGITS_Y };

/* Up to this many rows, each row of the table is read once and used for all; above, it pays to pack panels. */
enum { DOT_ROWS = 4, DOT_BYTES = 1 << 17 };

static void embed_plan(const Step *step, Plan *plan) {
  const EmbedParams *p = (const EmbedParams *)step->params;
  plan->need[EMBED_TOKEN] = plan->need[EMBED_POS] = p->rows;
  plan->need[EMBED_WTE] = (uint64_t)p->count * p->width;
  plan->need[EMBED_WPE] = p->width;
  plan->need[EMBED_X] = (uint64_t)p->rows * p->width;
  plan->phases = 1;
}

static uint32_t embed_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const EmbedParams *)step->params)->rows;
}

INLINE void copy_row(float *to, const void *table, size_t row, uint32_t width, int add, const uint32_t type) {
  const size_t at = row * width;
  uint32_t c = 0;
  for (; c + VW <= width; c += VW) {
    const vf values = load_weights(table, at + c, type);
    store(to + c, add ? load(to + c) + values : values);
  }
  for (; c < width; c++) {
    const float value = load_weight(table, at + c, type);
    to[c] = add ? to[c] + value : value;
  }
}

/* Positions beyond the table leave the row without one rather than read past it. */
static void embed_tile(const Step *step, uint32_t phase, uint32_t t, const Worker *worker) {
  const EmbedParams *p = (const EmbedParams *)step->params;
  const uint32_t token = ((const uint32_t *)step->bind[EMBED_TOKEN].data)[t];
  const uint32_t pos = ((const uint32_t *)step->bind[EMBED_POS].data)[t];
  const Binding *wte = &step->bind[EMBED_WTE], *wpe = &step->bind[EMBED_WPE];
  float *x = (float *)step->bind[EMBED_X].data + (size_t)t * p->width;
  (void)phase, (void)worker;
  if (token < p->first || token - p->first >= p->count) return;
  BY_TYPE(wte->type, copy_row, x, wte->data, token - p->first, p->width, 0);
  if ((pos + 1ull) * p->width <= wpe->count) BY_TYPE(wpe->type, copy_row, x, wpe->data, pos, p->width, 1);
}

static void logits_finish(const Step *step, uint32_t group, uint32_t row, uint32_t col, uint32_t cols,
                          const float *sums) {
  const LogitsParams *p = (const LogitsParams *)step->params;
  (void)group;
  memcpy((float *)step->bind[LOGITS_Y].data + (size_t)row * p->vocabulary + p->first + col, sums, 4ull * cols);
}

static Gemm logits_gemm(const Step *step) {
  const LogitsParams *p = (const LogitsParams *)step->params;
  return (Gemm){.x = step->bind[LOGITS_X].data,
                .b = step->bind[LOGITS_WTE].data,
                .type = step->bind[LOGITS_WTE].type,
                .layout = B_TABLE,
                .inner = p->width,
                .cols = p->count,
                .rows = p->rows,
                .groups = 1,
                .finish = logits_finish};
}

static void logits_plan(const Step *step, Plan *plan) {
  const LogitsParams *p = (const LogitsParams *)step->params;
  plan->need[LOGITS_X] = (uint64_t)p->rows * p->width;
  plan->need[LOGITS_WTE] = (uint64_t)p->count * p->width;
  plan->need[LOGITS_Y] = p->rows ? (p->rows - 1ull) * p->vocabulary + p->first + p->count : 0;
  const Gemm gemm = logits_gemm(step);
  gemm_plan(&gemm, plan);
  if (p->rows <= DOT_ROWS) plan->phases = 1;
}

static uint32_t dot_rows(uint32_t width) { return max_u32(1, DOT_BYTES / 4 / max_u32(1, width)); }

static uint32_t logits_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  const LogitsParams *p = (const LogitsParams *)step->params;
  if (p->rows <= DOT_ROWS) return ceil_div(p->count, dot_rows(p->width));
  const Gemm gemm = logits_gemm(step);
  return gemm_tiles(&gemm, phase, worker);
}

static void logits_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const LogitsParams *p = (const LogitsParams *)step->params;
  const Gemm gemm = logits_gemm(step);
  if (p->rows > DOT_ROWS) {
    gemm_tile(step, &gemm, phase, tile, worker);
    return;
  }
  float *y = (float *)step->bind[LOGITS_Y].data + p->first;
  for (uint32_t v = tile * dot_rows(p->width); v < min_u32(p->count, (tile + 1) * dot_rows(p->width)); v++)
    for (uint32_t t = 0; t < p->rows; t++)
      y[(size_t)t * p->vocabulary + v] =
          BY_TYPE(gemm.type, dot, gemm.x + (size_t)t * p->width, gemm.b, (size_t)v * p->width, p->width);
}

#define embed_embed_forward {"embed/embed_forward", embed_plan, embed_tiles, embed_tile}
#define embed_logits_forward {"embed/logits_forward", logits_plan, logits_tiles, logits_tile}
