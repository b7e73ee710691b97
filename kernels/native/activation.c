/* activation/gelu_forward and activation/dropout_forward: element by element. */
#include "philox.h"

typedef struct {
  uint32_t count;
} GeluParams;

typedef struct {
  uint32_t count, add, seed_low, seed_high, stream, site;
  float rate, scale;
} DropoutParams;

enum { ACTIVATION_X, ACTIVATION_Y };

/* Elements of one tile; a multiple of what one turn of any loop here takes. */
enum { ACTIVATION_TILE = 1 << 14 };

/* Both kernels start with the count. */
static void activation_plan(const Step *step, Plan *plan) {
  plan->need[ACTIVATION_X] = plan->need[ACTIVATION_Y] = ((const GeluParams *)step->params)->count;
  plan->phases = 1;
}

static uint32_t activation_tiles(const Step *step, uint32_t phase, const Worker *worker) {
  (void)phase, (void)worker;
  return ceil_div(((const GeluParams *)step->params)->count, ACTIVATION_TILE);
}

static void gelu_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const size_t from = (size_t)tile * ACTIVATION_TILE;
  const uint32_t n = min_u32(ACTIVATION_TILE, ((const GeluParams *)step->params)->count - from);
  const float *x = (const float *)step->bind[ACTIVATION_X].data + from;
  float *y = (float *)step->bind[ACTIVATION_Y].data + from;
  (void)phase, (void)worker;
  for (uint32_t i = 0; i < n; i += VW) {
    prefetch(x, i, VW, F32);
    store_up_to(y + i, vgelu(load_up_to(x + i, n - i)), n - i);
  }
}

/* y = or += scale · x. */
static void copy_scaled(const float *x, float *y, uint32_t n, float scale, uint32_t add) {
  if (scale == 1 && !add) {
    memcpy(y, x, 4 * n);
    return;
  }
  for (uint32_t i = 0; i < n; i += VW) {
    const vf scaled = load_up_to(x + i, n - i) * scale;
    store_up_to(y + i, add ? load_up_to(y + i, n - i) + scaled : scaled, n - i);
  }
}

static void dropout_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) {
  const DropoutParams *p = (const DropoutParams *)step->params;
  const size_t from = (size_t)tile * ACTIVATION_TILE;
  const uint32_t n = min_u32(ACTIVATION_TILE, p->count - from);
  const float *x = (const float *)step->bind[ACTIVATION_X].data + from;
  float *y = (float *)step->bind[ACTIVATION_Y].data + from;
  const float scale = p->scale / (1.0f - p->rate);
  (void)phase, (void)worker;
  if (p->rate == 0) {
    copy_scaled(x, y, n, p->scale, p->add);
    return;
  }
  for (uint32_t i = 0; i < n; i += 2 * VW) {
    vi words[2];
    philox_words(p->seed_low, p->seed_high, (from + i) / 4, p->stream, p->site, words);
    for (uint32_t j = 0, at = i; j < 2 && at < n; j++, at += VW) {
      const vf unit = __builtin_convertvector(words[j] >> 8 & 0xffffff, vf) * 0x1p-24f;
      const vf kept = (vf)((vi)(load_up_to(x + at, n - at) * scale) & (unit >= splat(p->rate)));
      store_up_to(y + at, p->add ? load_up_to(y + at, n - at) + kept : kept, n - at);
    }
  }
}

#define activation_gelu_forward {"activation/gelu_forward", activation_plan, activation_tiles, gelu_tile}
#define activation_dropout_forward {"activation/dropout_forward", activation_plan, activation_tiles, dropout_tile}
