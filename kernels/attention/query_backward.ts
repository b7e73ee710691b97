/**
 * Gradient of the queries of causal attention over packed sequences. The scores are computed again, block by block;
 * what the keys' gradients need of each row's softmax is left in `stats`.
 */
import { uniform, zeros } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { queryVariants } from "./backward_variants.ts";
import { attended, trainingCases } from "./training.ts";

export const queryBackward = defineKernel({
  name: "attention/query_backward",
  summary: "dq of causal attention within sequences of `time` rows; stats[t, h] = log Σ e^score, dy · y",
  bindings: {
    qkv: { access: "in", type: "f32", shape: "[T, 3C]" },
    y: { access: "in", type: "f32", shape: "[T, C], the attended values" },
    dy: { access: "in", type: "f32", shape: "[T, C]" },
    dqkv: { access: "inout", type: "f32", shape: "[T, 3C]; the first third of each row is written" },
    stats: { access: "out", type: "f32", shape: "[T, H, 2]" },
  },
  /** rows: whole sequences of `time` rows each; scale: of the scores, 1 / √head_size. */
  params: { rows: "u32", heads: "u32", head_size: "u32", time: "u32", scale: "f32" },
  variants: queryVariants,
  cost: (p) => ({
    bytes: 4 * p.rows * p.heads * p.head_size * 6,
    flops: 3 * p.rows * p.heads * p.head_size * (p.time + 1),
  }),
  reference({ qkv, y, dy, dqkv, stats }, p) {
    const { rows, heads, head_size: size, scale } = p;
    const width = heads * size;
    for (let t = 0; t < rows; t++)
      for (let h = 0; h < heads; h++) {
        const at = t * width + h * size;
        let delta = 0;
        for (let d = 0; d < size; d++) delta += dy[at + d]! * y[at + d]!;
        const { first, probabilities, log } = attended(qkv, p, t, h);
        for (let d = 0; d < size; d++) dqkv[t * 3 * width + h * size + d] = 0;
        for (const [i, probability] of probabilities.entries()) {
          const key = (first + i) * 3 * width + width + h * size;
          let slope = 0;
          for (let d = 0; d < size; d++) slope += dy[at + d]! * qkv[key + width + d]!;
          for (let d = 0; d < size; d++)
            dqkv[t * 3 * width + h * size + d]! += probability * (slope - delta) * scale * qkv[key + d]!;
        }
        stats[2 * (t * heads + h)] = log;
        stats[2 * (t * heads + h) + 1] = delta;
      }
  },
  cases: () =>
    trainingCases().map(({ label, params, qkv, y, dy }) => ({
      label,
      params,
      tensors: {
        qkv,
        y,
        dy,
        dqkv: uniform(9, qkv.shape),
        stats: zeros([params.rows, params.heads, 2]),
      },
    })),
});
