/** Product with a quantized matrix, with bias, and what follows it: GELU, or adding to what is there. */
import { uniform } from "../cases.ts";
import { defineKernel, gelu } from "../kernel.ts";
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";
import { matmulVariants } from "./variants.ts";

export const matmulForward = defineKernel({
  name: "quant/matmul_forward",
  summary: "y = f(x · w + b), or y += x · w + b, of a quantized w",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K]" },
    w: { access: "in", type: "u32", shape: "words of [K, N]" },
    b: { access: "in", type: "f32", shape: "[N]" },
    y: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  /** inner: K; cols: N; gelu, add: 0 or 1, not both 1. */
  params: { rows: "u32", inner: "u32", cols: "u32", gelu: "u32", add: "u32", ...groupingParams },
  variants: matmulVariants,
  cost: (p) => ({
    bytes: p.inner * p.cols * quantBytes(p) + 4 * p.rows * (p.inner + p.cols),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, w: words, b, y }, params) {
    const { rows, inner, cols, gelu: activate, add } = params;
    const w = matrixOf(words, params, inner, cols);
    for (let t = 0; t < rows; t++)
      for (let n = 0; n < cols; n++) {
        let sum = b[n]!;
        for (let k = 0; k < inner; k++) sum += x[t * inner + k]! * w[k * cols + n]!;
        y[t * cols + n] = add ? y[t * cols + n]! + sum : activate ? gelu(sum) : sum;
      }
  },
  cases: () =>
    [
      { rows: 1, inner: 64, cols: 96, gelu: 0, add: 0, bits: 8, group: 64 },
      { rows: 1, inner: 513, cols: 67, gelu: 1, add: 0, bits: 8, group: 32 },
      { rows: 1, inner: 232, cols: 200, gelu: 0, add: 1, bits: 4, group: 64 },
      { rows: 2, inner: 128, cols: 384, gelu: 0, add: 1, bits: 4, group: 128 },
      { rows: 7, inner: 63, cols: 1, gelu: 0, add: 0, bits: 4, group: 32 },
      { rows: 64, inner: 64, cols: 64, gelu: 1, add: 0, bits: 8, group: 128 },
      { rows: 65, inner: 131, cols: 63, gelu: 0, add: 1, bits: 4, group: 32 },
      { rows: 70, inner: 264, cols: 200, gelu: 0, add: 0, bits: 8, group: 128 },
      { rows: 67, inner: 232, cols: 196, gelu: 0, add: 1, bits: 4, group: 64 },
    ].map((params) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}${params.gelu ? " gelu" : ""}${params.add ? " add" : ""}, ${params.bits} bits by ${params.group}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.inner], 3),
        w: quantized(2, params, params.inner, params.cols),
        b: uniform(3, [params.cols], 30),
        y: uniform(4, [params.rows, params.cols]),
      },
    })),
});
