/** Second matrix of the experts, quantized, for few rows (decoding), scaled by the raw probability and added in place (combine). */
import { integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";
import { downRowVariants } from "./variants.ts";

export const downRowForward = defineKernel({
  name: "quant/down_row_forward",
  summary:
    "y[t] += prob[t] · (h[t] · w[e] + b[e]), e = expert[t], for rows whose expert is in this part of w, of quantized w",
  bindings: {
    h: { access: "in", type: "f32", shape: "[T, K]" },
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    prob: { access: "in", type: "f32", shape: "[MoE layers · T]" },
    w: { access: "in", type: "u32", shape: "words of [E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    y: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", at: "u32", ...groupingParams },
  variants: downRowVariants,
  cost: (p) => ({
    bytes: p.rows * (p.inner * p.cols * quantBytes(p) + 4 * (p.inner + 2 * p.cols)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ h, expert, prob, w: words, b, y }, params) {
    const { rows, inner, cols, first, count, at } = params;
    for (let t = 0; t < rows; t++) {
      const e = expert[at + t]!;
      if (e < first || e >= first + count) continue;
      const w = matrixOf(words, params, inner, cols, e - first);
      for (let n = 0; n < cols; n++) {
        let sum = b[e * cols + n]!;
        for (let k = 0; k < inner; k++) sum += h[t * inner + k]! * w[k * cols + n]!;
        y[t * cols + n]! += prob[at + t]! * sum;
      }
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 128, cols: 32, first: 0, count: 16, at: 0, experts: 16, bits: 8, group: 64 },
      { rows: 3, inner: 67, cols: 63, first: 0, count: 5, at: 2, experts: 5, bits: 4, group: 32 },
      { rows: 4, inner: 72, cols: 124, first: 2, count: 2, at: 0, experts: 6, bits: 4, group: 64 },
    ].map(({ experts, ...params }) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}, ${params.bits} bits by ${params.group}`,
      params,
      tensors: {
        h: uniform(1, [params.rows, params.inner]),
        expert: integers(5, [params.at + params.rows], experts),
        prob: uniform(6, [params.at + params.rows]),
        w: quantized(2, params, params.inner, params.cols, params.count),
        b: uniform(3, [experts, params.cols]),
        y: uniform(4, [params.rows, params.cols]),
      },
    })),
});
