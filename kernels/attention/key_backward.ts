/** Gradients of the keys and values of causal attention over packed sequences. */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { keyVariants } from "./backward_variants.ts";
import { attended, trainingCases } from "./training.ts";

export const keyBackward = defineKernel({
  name: "attention/key_backward",
  summary: "dk and dv of causal attention within sequences of `time` rows",
  bindings: {
    qkv: { access: "in", type: "f32", shape: "[T, 3C]" },
    dy: { access: "in", type: "f32", shape: "[T, C]" },
    stats: { access: "in", type: "f32", shape: "[T, H, 2], as query_backward writes it" },
    dqkv: { access: "inout", type: "f32", shape: "[T, 3C]; the second and third third of each row are written" },
  },
  params: { rows: "u32", heads: "u32", head_size: "u32", time: "u32", scale: "f32" },
  variants: keyVariants,
  cost: (p) => ({
    bytes: 4 * p.rows * p.heads * p.head_size * 6,
    flops: 4 * p.rows * p.heads * p.head_size * (p.time + 1),
  }),
  reference({ qkv, dy, stats, dqkv }, { rows, heads, head_size: size, time, scale }) {
    const width = heads * size;
    for (let s = 0; s < rows; s++)
      for (let h = 0; h < heads; h++) {
        const key = s * 3 * width + width + h * size;
        for (let d = 0; d < size; d++) dqkv[key + d] = dqkv[key + width + d] = 0;
        for (let t = s; t < rows && t - (t % time) <= s; t++) {
          const query = t * 3 * width + h * size;
          const at = t * width + h * size;
          let [score, slope] = [0, 0];
          for (let d = 0; d < size; d++) {
            score += qkv[query + d]! * qkv[key + d]!;
            slope += dy[at + d]! * qkv[key + width + d]!;
          }
          const probability = Math.exp(score * scale - stats[2 * (t * heads + h)]!);
          const change = probability * (slope - stats[2 * (t * heads + h) + 1]!) * scale;
          for (let d = 0; d < size; d++) {
            dqkv[key + d]! += change * qkv[query + d]!;
            dqkv[key + width + d]! += probability * dy[at + d]!;
          }
        }
      }
  },
  cases: () =>
    trainingCases().map(({ label, params, qkv, y, dy }) => {
      const { rows, heads, head_size: size } = params;
      const stats = uniform(4, [rows, heads, 2]);
      for (let t = 0; t < rows; t++)
        for (let h = 0; h < heads; h++) {
          const at = (t * heads + h) * size;
          let delta = 0;
          for (let d = 0; d < size; d++) delta += dy.data[at + d]! * y.data[at + d]!;
          stats.data[2 * (t * heads + h)] = attended(qkv.data, params, t, h).log;
          stats.data[2 * (t * heads + h) + 1] = delta;
        }
      return { label, params, tensors: { qkv, dy, stats, dqkv: uniform(9, qkv.shape) } };
    }),
});
