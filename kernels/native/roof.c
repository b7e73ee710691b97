/* What this machine can do at most: reading memory, and multiply-adds in registers. Run as steps like any other. */
#include "vector.h"

enum { ROOF_TILE = 1 << 20 };

/* roof/read: bind 0 is read once, in tiles of 4 MiB; bind 1 takes a sum, so that no read can be left out. */
static void read_plan(const Step *step, Plan *plan) {
  (void)step;
  plan->need[1] = 1;
  plan->phases = 1;
}

static uint32_t read_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return (uint32_t)(step->bind[0].count / ROOF_TILE);
}

static void read_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const float *x = (const float *)step->bind[0].data + (size_t)tile * ROOF_TILE;
  vf s[8] = {0};
  (void)phase, (void)worker;
  for (uint32_t i = 0; i < ROOF_TILE; i += 8 * VW) {
    prefetch(x, i, 8 * VW, F32);
    UNROLL
    for (int j = 0; j < 8; j++) s[j] += load(x + i + j * VW);
  }
  vf total = {0};
  for (int j = 0; j < 8; j++) total += s[j];
  if (sum(total) == 1.0f) *(float *)step->bind[1].data = 1.0f;
}

typedef struct {
  uint32_t tiles;
} FmaParams;

/* Independent chains, enough to hide the latency; and multiply-adds of each in one tile. */
enum { FMA_CHAINS = 14, FMA_LENGTH = 1 << 16 };

/* roof/multiply_add: `tiles` times FMA_LENGTH × FMA_CHAINS × VW multiply-adds; bind 0 takes the flops of one tile. */
static void fma_plan(const Step *step, Plan *plan) {
  (void)step;
  plan->need[0] = 1;
  plan->phases = 1;
}

static uint32_t fma_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ((const FmaParams *)step->params)->tiles;
}

static void fma_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  vf s[FMA_CHAINS];
  const vf a = splat(0.999f), b = splat(0.001f);
  (void)phase, (void)worker;
  for (int j = 0; j < FMA_CHAINS; j++) s[j] = splat((float)(tile + j));
  for (uint32_t i = 0; i < FMA_LENGTH; i++)
    UNROLL
    for (int j = 0; j < FMA_CHAINS; j++) s[j] = s[j] * a + b;
  vf total = {0};
  for (int j = 0; j < FMA_CHAINS; j++) total += s[j];
  *(float *)step->bind[0].data = sum(total) == 0.5f ? 0 : 2.0f * FMA_LENGTH * FMA_CHAINS * VW;
}

#define roof_read {"roof/read", read_plan, read_tiles, read_tile}
#define roof_multiply_add {"roof/multiply_add", fma_plan, fma_tiles, fma_tile}
