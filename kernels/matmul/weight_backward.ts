/** Gradients of a matrix product's matrix and bias: products and sums over the rows. */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { weightVariants } from "./backward_variants.ts";

export const weightBackward = defineKernel({
  name: "matmul/weight_backward",
  summary: "dw = xᵀ · dy and db = Σ dy[t], or added to what is there",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K]" },
    dy: { access: "in", type: "f32", shape: "[T, N]" },
    dw: { access: "inout", type: "matrix", shape: "[K, N]" },
    db: { access: "inout", type: "f32", shape: "[N]" },
  },
  /** inner: K; cols: N; add: 0 or 1. */
  params: { rows: "u32", inner: "u32", cols: "u32", add: "u32" },
  variants: weightVariants,
  cost: (p) => ({
    bytes: 4 * (p.rows * (p.inner + p.cols) + p.inner * p.cols * (1 + p.add)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, dy, dw, db }, { rows, inner, cols, add }) {
    for (let n = 0; n < cols; n++) {
      for (let k = 0; k < inner; k++) {
        let sum = add ? dw[k * cols + n]! : 0;
        for (let t = 0; t < rows; t++) sum += x[t * inner + k]! * dy[t * cols + n]!;
        dw[k * cols + n] = sum;
      }
      let sum = add ? db[n]! : 0;
      for (let t = 0; t < rows; t++) sum += dy[t * cols + n]!;
      db[n] = sum;
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 96, add: 0 },
      { rows: 63, inner: 7, cols: 1, add: 1 },
      { rows: 64, inner: 64, cols: 128, add: 1 },
      { rows: 131, inner: 65, cols: 67, add: 0 },
      { rows: 300, inner: 260, cols: 131, add: 0 },
    ].map((params) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}${params.add ? " add" : ""}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.inner]),
        dy: uniform(2, [params.rows, params.cols]),
        dw: uniform(3, [params.inner, params.cols], 10),
        db: uniform(4, [params.cols], 10),
      },
    })),
});
