/** Second matrix of the experts, quantized, over rows grouped by expert, scaled by the raw probability and added in place (combine). */
import { grouped, integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";
import { downVariants } from "./variants.ts";

export const downForward = defineKernel({
  name: "quant/down_forward",
  summary: "y[t] += prob[t] · (h[i] · w[e] + b[e]), t = order[i], for i in [start[e], start[e + 1]), of quantized w",
  bindings: {
    h: { access: "in", type: "f32", shape: "[T, K]" },
    order: { access: "in", type: "u32", shape: "[T]" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    prob: { access: "in", type: "f32", shape: "[MoE layers · T]" },
    w: { access: "in", type: "u32", shape: "words of [E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    y: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  /** first, count: the experts that this part of w holds; at: where this layer's rows start in prob. */
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", at: "u32", ...groupingParams },
  variants: downVariants,
  cost: (p) => ({
    bytes: Math.min(p.rows, p.count) * p.inner * p.cols * quantBytes(p) + 4 * p.rows * (p.inner + 2 * p.cols),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ h, order, start, prob, w: words, b, y }, params) {
    const { inner, cols, first, count, at } = params;
    for (let e = first; e < first + count; e++) {
      const w = matrixOf(words, params, inner, cols, e - first);
      for (let i = start[e]!; i < start[e + 1]!; i++)
        for (let n = 0; n < cols; n++) {
          let sum = b[e * cols + n]!;
          for (let k = 0; k < inner; k++) sum += h[i * inner + k]! * w[k * cols + n]!;
          y[order[i]! * cols + n]! += prob[at + order[i]!]! * sum;
        }
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 128, cols: 32, first: 0, count: 16, at: 0, experts: 16, bits: 8, group: 64 },
      { rows: 65, inner: 67, cols: 63, first: 0, count: 5, at: 9, experts: 5, bits: 4, group: 32 },
      { rows: 130, inner: 72, cols: 124, first: 2, count: 3, at: 0, experts: 6, bits: 4, group: 64 },
      { rows: 150, inner: 136, cols: 100, first: 0, count: 3, at: 5, experts: 3, bits: 8, group: 128 },
    ].map(({ experts, ...params }) => {
      const { order, start } = grouped(integers(5, [params.rows], experts - 1).data, experts);
      return {
        label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}, ${params.bits} bits by ${params.group}, the last empty`,
        params,
        tensors: {
          h: uniform(1, [params.rows, params.inner]),
          order,
          start,
          prob: uniform(6, [params.at + params.rows]),
          w: quantized(2, params, params.inner, params.cols, params.count),
          b: uniform(3, [experts, params.cols]),
          y: uniform(4, [params.rows, params.cols]),
        },
      };
    }),
});
