/* reduce/squares_forward: sums of squares by blocks, and what is not finite. */
#include "vector.h"

typedef struct {
  uint32_t count, at;
} SquaresParams;

enum { SQUARES_X, SQUARES_SUMS };

/* Elements of one block: `squaresBlock` of the twin. */
enum { SQUARES_BLOCK = 1 << 14 };

static uint32_t squares_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const SquaresParams *)step->params)->count, SQUARES_BLOCK);
}

static void squares_plan(const Step *step, Plan *plan) {
  const SquaresParams *p = (const SquaresParams *)step->params;
  plan->need[SQUARES_X] = p->count;
  plan->need[SQUARES_SUMS] = 2 * ((uint64_t)p->at + ceil_div(p->count, SQUARES_BLOCK));
  plan->phases = 1;
}

static void squares_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const SquaresParams *p = (const SquaresParams *)step->params;
  const size_t from = (size_t)tile * SQUARES_BLOCK;
  const uint32_t n = min_u32(SQUARES_BLOCK, p->count - from);
  const float *x = (const float *)step->bind[SQUARES_X].data + from;
  float *sums = (float *)step->bind[SQUARES_SUMS].data + 2 * ((size_t)p->at + tile);
  vf squares[4] = {0};
  vi bad[4] = {0}; /* minus the count */
  (void)phase, (void)worker;
  for (uint32_t i = 0; i < n; i += 4 * VW) {
    prefetch(x, i, 4 * VW, F32);
    for (uint32_t j = 0, at = i; j < 4 && at < n; j++, at += VW) {
      const vf v = load_up_to(x + at, n - at);
      const vi wrong = ((vi)v & 0x7f800000) == 0x7f800000;
      const vf good = (vf)((vi)v & ~wrong);
      squares[j] += good * good;
      bad[j] += wrong;
    }
  }
  const vi count = (bad[0] + bad[1]) + (bad[2] + bad[3]);
  sums[0] = sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
  sums[1] = -sum(__builtin_convertvector(count, vf));
}

#define reduce_squares_forward {"reduce/squares_forward", squares_plan, squares_tiles, squares_tile}
