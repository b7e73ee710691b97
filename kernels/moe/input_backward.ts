/** Gradient of the input of an expert matrix, over rows grouped by expert. */
import { grouped, integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { inputVariants } from "./backward_variants.ts";

export const inputBackward = defineKernel({
  name: "moe/input_backward",
  summary: "dx[i] = dy[i] · w[e]ᵀ, or dx[order[i]] += it, for i in [start[e], start[e + 1]), experts of this part of w",
  bindings: {
    dy: { access: "in", type: "f32", shape: "[T, N], in order" },
    order: { access: "in", type: "u32", shape: "[T]" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    w: { access: "in", type: "matrix", shape: "[E part, K, N]" },
    dx: { access: "inout", type: "f32", shape: "[T, K]" },
  },
  /** first, count: the experts that this part of w holds; scatter: 0 writes dx[i], 1 adds to dx[order[i]]. */
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", scatter: "u32" },
  variants: inputVariants,
  cost: (p, weightBytes) => ({
    bytes: Math.min(p.rows, p.count) * p.inner * p.cols * weightBytes + 4 * p.rows * (p.inner + p.cols),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ dy, order, start, w, dx }, { inner, cols, first, count, scatter }) {
    for (let e = first; e < first + count; e++)
      for (let i = start[e]!; i < start[e + 1]!; i++)
        for (let k = 0; k < inner; k++) {
          let sum = 0;
          for (let n = 0; n < cols; n++) sum += dy[i * cols + n]! * w[((e - first) * inner + k) * cols + n]!;
          if (scatter) dx[order[i]! * inner + k]! += sum;
          else dx[i * inner + k] = sum;
        }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 128, first: 0, count: 16, scatter: 0, experts: 16 },
      { rows: 65, inner: 63, cols: 67, first: 0, count: 5, scatter: 1, experts: 5 },
      { rows: 130, inner: 128, cols: 64, first: 2, count: 3, scatter: 0, experts: 6 },
      { rows: 200, inner: 64, cols: 192, first: 0, count: 4, scatter: 1, experts: 4 },
    ].map(({ experts, ...params }) => {
      const { order, start } = grouped(integers(5, [params.rows], experts - 1).data, experts);
      return {
        label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}${params.scatter ? ", scattered" : ""}, the last empty`,
        params,
        tensors: {
          dy: uniform(1, [params.rows, params.cols]),
          order,
          start,
          w: uniform(2, [params.count, params.inner, params.cols]),
          dx: uniform(4, [params.rows, params.inner]),
        },
      };
    }),
});
