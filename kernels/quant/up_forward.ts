/** First matrix of the experts, quantized, over rows grouped by expert, with GELU or, in training, without. */
import { grouped, integers, uniform } from "../cases.ts";
import { defineKernel, gelu } from "../kernel.ts";
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";
import { upVariants } from "./variants.ts";

export const upForward = defineKernel({
  name: "quant/up_forward",
  summary:
    "h[i] = f(x[order[i]] · w[e] + b[e]) for i in [start[e], start[e + 1]), experts of this part of w, of quantized w",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K]" },
    order: { access: "in", type: "u32", shape: "[T]" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    w: { access: "in", type: "u32", shape: "words of [E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    h: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  /** first, count: the experts [first, first + count) that this part of w holds; gelu: 0 or 1. */
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", gelu: "u32", ...groupingParams },
  variants: upVariants,
  cost: (p) => ({
    bytes: Math.min(p.rows, p.count) * p.inner * p.cols * quantBytes(p) + 4 * p.rows * (p.inner + p.cols),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, order, start, w: words, b, h }, params) {
    const { inner, cols, first, count, gelu: activate } = params;
    for (let e = first; e < first + count; e++) {
      const w = matrixOf(words, params, inner, cols, e - first);
      for (let i = start[e]!; i < start[e + 1]!; i++)
        for (let n = 0; n < cols; n++) {
          let sum = b[e * cols + n]!;
          for (let k = 0; k < inner; k++) sum += x[order[i]! * inner + k]! * w[k * cols + n]!;
          h[i * cols + n] = activate ? gelu(sum) : sum;
        }
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 128, first: 0, count: 16, gelu: 1, experts: 16, bits: 8, group: 64 },
      { rows: 65, inner: 63, cols: 67, first: 0, count: 5, gelu: 0, experts: 5, bits: 4, group: 32 },
      { rows: 130, inner: 136, cols: 68, first: 2, count: 3, gelu: 1, experts: 6, bits: 4, group: 64 },
      { rows: 150, inner: 72, cols: 100, first: 0, count: 3, gelu: 0, experts: 3, bits: 8, group: 128 },
    ].map(({ experts, ...params }) => {
      const { order, start } = grouped(integers(5, [params.rows], experts - 1).data, experts);
      return {
        label: `${params.rows} × ${params.inner} × ${params.cols}${params.gelu ? " gelu" : ""}, experts ${params.first}…+${params.count} of ${experts}, ${params.bits} bits by ${params.group}, the last empty`,
        params,
        tensors: {
          x: uniform(1, [params.rows, params.inner]),
          order,
          start,
          w: quantized(2, params, params.inner, params.cols, params.count),
          b: uniform(3, [experts, params.cols]),
          h: uniform(4, [params.rows, params.cols]),
        },
      };
    }),
});
