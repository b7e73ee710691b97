/** First matrix of the experts, quantized, for few rows (decoding): each row reads its own expert's number. */
import { integers, uniform } from "../cases.ts";
import { defineKernel, gelu } from "../kernel.ts";
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";
import { upRowVariants } from "./variants.ts";

export const upRowForward = defineKernel({
  name: "quant/up_row_forward",
  summary: "h[t] = gelu(x[t] · w[e] + b[e]), e = expert[t], for rows whose expert is in this part of w, of quantized w",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K]" },
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    w: { access: "in", type: "u32", shape: "words of [E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    h: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", at: "u32", ...groupingParams },
  variants: upRowVariants,
  cost: (p) => ({
    bytes: p.rows * (p.inner * p.cols * quantBytes(p) + 4 * (p.inner + p.cols)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, expert, w: words, b, h }, params) {
    const { rows, inner, cols, first, count, at } = params;
    for (let t = 0; t < rows; t++) {
      const e = expert[at + t]!;
      if (e < first || e >= first + count) continue;
      const w = matrixOf(words, params, inner, cols, e - first);
      for (let n = 0; n < cols; n++) {
        let sum = b[e * cols + n]!;
        for (let k = 0; k < inner; k++) sum += x[t * inner + k]! * w[k * cols + n]!;
        h[t * cols + n] = gelu(sum);
      }
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 128, first: 0, count: 16, at: 0, experts: 16, bits: 8, group: 64 },
      { rows: 3, inner: 63, cols: 67, first: 0, count: 5, at: 2, experts: 5, bits: 4, group: 32 },
      { rows: 4, inner: 136, cols: 68, first: 2, count: 2, at: 0, experts: 6, bits: 4, group: 64 },
    ].map(({ experts, ...params }) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}, ${params.bits} bits by ${params.group}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.inner]),
        expert: integers(5, [params.at + params.rows], experts),
        w: quantized(2, params, params.inner, params.cols, params.count),
        b: uniform(3, [experts, params.cols]),
        h: uniform(4, [params.rows, params.cols]),
      },
    })),
});
