/** Gradient of a matrix product's input, added to another or not, and through the GELU before it. */
import { uniform } from "../cases.ts";
import { defineKernel, geluSlope } from "../kernel.ts";
import { inputVariants } from "./backward_variants.ts";

export const inputBackward = defineKernel({
  name: "matmul/input_backward",
  summary: "dx = dy · wᵀ, or dx + dy · wᵀ, times gelu'(u) where x = gelu(u)",
  bindings: {
    dy: { access: "in", type: "f32", shape: "[T, N]" },
    w: { access: "in", type: "matrix", shape: "[K, N]" },
    u: { access: "in", type: "f32", shape: "[T, K], read if gelu" },
    dx: { access: "inout", type: "f32", shape: "[T, K]" },
  },
  /** inner: K; cols: N; gelu, add: 0 or 1. */
  params: { rows: "u32", inner: "u32", cols: "u32", gelu: "u32", add: "u32" },
  variants: inputVariants,
  cost: (p, weightBytes) => ({
    bytes: p.inner * p.cols * weightBytes + 4 * p.rows * (p.cols + p.inner * (1 + p.gelu + p.add)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ dy, w, u, dx }, { rows, inner, cols, gelu, add }) {
    for (let t = 0; t < rows; t++)
      for (let k = 0; k < inner; k++) {
        let sum = add ? dx[t * inner + k]! : 0;
        for (let n = 0; n < cols; n++) sum += dy[t * cols + n]! * w[k * cols + n]!;
        dx[t * inner + k] = gelu ? sum * geluSlope(u[t * inner + k]!) : sum;
      }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 96, gelu: 0, add: 0 },
      { rows: 7, inner: 1, cols: 63, gelu: 1, add: 0 },
      { rows: 64, inner: 64, cols: 128, gelu: 1, add: 0 },
      { rows: 65, inner: 131, cols: 67, gelu: 0, add: 1 },
      { rows: 70, inner: 68, cols: 24, gelu: 1, add: 1 },
      { rows: 130, inner: 260, cols: 257, gelu: 1, add: 0 },
    ].map((params) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}${params.gelu ? " gelu" : ""}${params.add ? " add" : ""}`,
      params,
      tensors: {
        dy: uniform(1, [params.rows, params.cols]),
        w: uniform(2, [params.inner, params.cols]),
        u: uniform(3, [params.rows, params.inner], 3),
        dx: uniform(4, [params.rows, params.inner]),
      },
    })),
});
