/*
 * quant/matmul_forward, quant/up_forward, quant/down_forward and quant/logits_forward: the products of matmul.c, moe_group.c
 * and embed.c with quantized matrices. Parameters begin, and bindings are, as there.
 */
#include "quant_gemm.h"

/* Where the grouping stands in the parameters. */
INLINE Grouping grouping_after(const Step *step, size_t bytes) {
  return *(const Grouping *)((const char *)step->params + bytes);
}

static QuantGemm quant_matmul_gemm(const Step *step) {
  return (QuantGemm){matmul_gemm(step), grouping_after(step, sizeof(MatmulParams))};
}
static QuantGemm quant_up_gemm(const Step *step) {
  return (QuantGemm){up_gemm(step), grouping_after(step, sizeof(UpParams))};
}
static QuantGemm quant_down_gemm(const Step *step) {
  return (QuantGemm){down_gemm(step), grouping_after(step, sizeof(DownParams))};
}
static QuantGemm quant_logits_gemm(const Step *step) {
  return (QuantGemm){logits_gemm(step), grouping_after(step, sizeof(LogitsParams))};
}

/* The plan of the kernel's float twin, but for the matrix, binding w, and the scratch. */
INLINE void quant_plan(const QuantGemm *q, Plan *plan, int w) {
  plan->need[w] = q->gemm.groups * quant_words(q->grouping, q->gemm.inner, q->gemm.cols);
  quant_gemm_plan(q, plan);
}

#define QUANT_PRODUCT(name, twin, w) \
  static void name##_plan(const Step *step, Plan *plan) { \
    const QuantGemm q = name##_gemm(step); \
    twin##_plan(step, plan); \
    quant_plan(&q, plan, w); \
  } \
  static uint32_t name##_tiles(const Step *step, uint32_t phase, const Worker *worker) { \
    const QuantGemm q = name##_gemm(step); \
    return quant_gemm_tiles(&q, phase, worker); \
  } \
  static void name##_tile(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker) { \
    const QuantGemm q = name##_gemm(step); \
    quant_gemm_tile(step, &q, phase, tile, worker); \
  }

QUANT_PRODUCT(quant_matmul, matmul, MATMUL_W)
QUANT_PRODUCT(quant_up, up, UP_W)
QUANT_PRODUCT(quant_down, down, DOWN_W)
QUANT_PRODUCT(quant_logits, logits, LOGITS_WTE)

#define quant_matmul_forward {"quant/matmul_forward", quant_matmul_plan, quant_matmul_tiles, quant_matmul_tile}
#define quant_up_forward {"quant/up_forward", quant_up_plan, quant_up_tiles, quant_up_tile}
#define quant_down_forward {"quant/down_forward", quant_down_plan, quant_down_tiles, quant_down_tile}
#define quant_logits_forward {"quant/logits_forward", quant_logits_plan, quant_logits_tiles, quant_logits_tile}
