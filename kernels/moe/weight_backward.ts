/** Gradients of the experts' matrices and biases, over rows grouped by expert. */
import { grouped, integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { weightVariants } from "./backward_variants.ts";

export const weightBackward = defineKernel({
  name: "moe/weight_backward",
  summary: "dw[e] = Σ x[i]ᵀ · dy[i] and db[e] = Σ dy[i] over the rows i of expert e, or added to what is there",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K], in order" },
    dy: { access: "in", type: "f32", shape: "[T, N], in order" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    dw: { access: "inout", type: "matrix", shape: "[E part, K, N]" },
    db: { access: "inout", type: "f32", shape: "[E, N]" },
  },
  /** first, count: the experts that this part of dw holds, whose db is computed too; add: 0 or 1. */
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", add: "u32" },
  variants: weightVariants,
  cost: (p) => ({
    bytes: 4 * (p.rows * (p.inner + p.cols) + p.count * p.inner * p.cols * (1 + p.add)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, dy, start, dw, db }, { inner, cols, first, count, add }) {
    for (let e = first; e < first + count; e++)
      for (let n = 0; n < cols; n++) {
        for (let k = 0; k < inner; k++) {
          const to = ((e - first) * inner + k) * cols + n;
          let sum = add ? dw[to]! : 0;
          for (let i = start[e]!; i < start[e + 1]!; i++) sum += x[i * inner + k]! * dy[i * cols + n]!;
          dw[to] = sum;
        }
        let sum = add ? db[e * cols + n]! : 0;
        for (let i = start[e]!; i < start[e + 1]!; i++) sum += dy[i * cols + n]!;
        db[e * cols + n] = sum;
      }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 128, first: 0, count: 16, add: 0, experts: 16 },
      { rows: 65, inner: 63, cols: 67, first: 0, count: 5, add: 1, experts: 5 },
      { rows: 130, inner: 128, cols: 64, first: 2, count: 3, add: 0, experts: 6 },
      { rows: 600, inner: 64, cols: 192, first: 0, count: 4, add: 1, experts: 4 },
    ].map(({ experts, ...params }) => {
      const { start } = grouped(integers(5, [params.rows], experts - 1).data, experts);
      return {
        label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}${params.add ? ", add" : ""}, the last empty`,
        params,
        tensors: {
          x: uniform(1, [params.rows, params.inner]),
          dy: uniform(2, [params.rows, params.cols]),
          start,
          dw: uniform(3, [params.count, params.inner, params.cols], 10),
          db: uniform(4, [experts, params.cols], 10),
        },
      };
    }),
});
