/* embed/embed_backward and embed/position_backward: rows of dx summed by token and by position. */
#include "vector.h"

typedef struct {
  uint32_t rows, width, first, count;
} TokenParams;

typedef struct {
  uint32_t rows, width, time, add;
} PositionParams;

enum { TOKEN_DX, TOKEN_TOKEN, TOKEN_SORTED, TOKEN_DWTE };
enum { POSITION_DX, POSITION_DWPE };

/* Places in `sorted`, or positions, of one tile. */
enum { TOKEN_TILE = 16, POSITION_TILE = 2 };

static void token_plan(const Step *step, Plan *plan) {
  const TokenParams *p = (const TokenParams *)step->params;
  plan->need[TOKEN_DX] = (uint64_t)p->rows * p->width;
  plan->need[TOKEN_TOKEN] = plan->need[TOKEN_SORTED] = p->rows;
  plan->need[TOKEN_DWTE] = (uint64_t)p->count * p->width;
  plan->phases = 1;
}

static uint32_t token_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const TokenParams *)step->params)->rows, TOKEN_TILE);
}

/* The row of dwte at place i of `sorted`; `count` if that part of the table has none, or there is no such place. */
static uint32_t table_row(const Step *step, uint32_t i) {
  const TokenParams *p = (const TokenParams *)step->params;
  const uint32_t t = i < p->rows ? ((const uint32_t *)step->bind[TOKEN_SORTED].data)[i] : p->rows;
  const uint32_t token = t < p->rows ? ((const uint32_t *)step->bind[TOKEN_TOKEN].data)[t] : p->first + p->count;
  return token >= p->first ? min_u32(token - p->first, p->count) : p->count;
}

/* A tile has the tokens whose first row is among its places, with all their rows. */
static void token_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const TokenParams *p = (const TokenParams *)step->params;
  const uint32_t *sorted = step->bind[TOKEN_SORTED].data, width = p->width;
  const float *dx = step->bind[TOKEN_DX].data;
  (void)phase, (void)worker;
  for (uint32_t i = tile * TOKEN_TILE, end; i < min_u32(p->rows, (tile + 1) * TOKEN_TILE); i = end) {
    const uint32_t row = table_row(step, i);
    for (end = i + 1; end < p->rows && table_row(step, end) == row; end++);
    if (row == p->count || (i > 0 && table_row(step, i - 1) == row)) continue;
    float *to = (float *)step->bind[TOKEN_DWTE].data + (size_t)row * width;
    for (uint32_t c = 0; c < width; c += VW) {
      const uint32_t n = width - c;
      vf total = load_up_to(to + c, n);
      for (uint32_t j = i; j < end; j++) total += load_up_to(dx + (size_t)sorted[j] * width + c, n);
      store_up_to(to + c, total, n);
    }
  }
}

static void position_plan(const Step *step, Plan *plan) {
  const PositionParams *p = (const PositionParams *)step->params;
  plan->need[POSITION_DX] = (uint64_t)p->rows * p->width;
  plan->need[POSITION_DWPE] = (uint64_t)p->time * p->width;
  plan->phases = 1;
}

static uint32_t position_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const PositionParams *)step->params)->time, POSITION_TILE);
}

static void position_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const PositionParams *p = (const PositionParams *)step->params;
  const uint32_t first = tile * POSITION_TILE, end = min_u32(p->time, first + POSITION_TILE);
  const size_t stride = (size_t)p->time * p->width;
  (void)phase, (void)worker;
  for (uint32_t pos = first; pos < end; pos++) {
    const float *dx = (const float *)step->bind[POSITION_DX].data + (size_t)pos * p->width;
    float *dwpe = (float *)step->bind[POSITION_DWPE].data + (size_t)pos * p->width;
    const uint32_t sequences = p->rows > pos ? ceil_div(p->rows - pos, p->time) : 0;
    for (uint32_t c = 0; c < p->width; c += VW) {
      const uint32_t n = p->width - c;
      vf total = p->add ? load_up_to(dwpe + c, n) : (vf){0};
      for (uint32_t s = 0; s < sequences; s++) total += load_up_to(dx + s * stride + c, n);
      store_up_to(dwpe + c, total, n);
    }
  }
}

#define embed_embed_backward {"embed/embed_backward", token_plan, token_tiles, token_tile}
#define embed_position_backward {"embed/position_backward", position_plan, position_tiles, position_tile}
