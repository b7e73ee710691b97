/** First matrix of the experts over rows grouped by expert, with GELU or, in training, without. */
import { grouped, integers, uniform } from "../cases.ts";
import { defineKernel, gelu } from "../kernel.ts";
import { upVariants } from "./group_variants.ts";

export const upForward = defineKernel({
  name: "moe/up_forward",
  summary: "h[i] = f(x[order[i]] · w[e] + b[e]) for i in [start[e], start[e + 1]), experts of this part of w",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K]" },
    order: { access: "in", type: "u32", shape: "[T]" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    w: { access: "in", type: "matrix", shape: "[E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    h: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  /** first, count: the experts [first, first + count) that this part of w holds; gelu: 0 or 1. */
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", gelu: "u32" },
  variants: upVariants,
  cost: (p, weightBytes) => ({
    bytes: Math.min(p.rows, p.count) * p.inner * p.cols * weightBytes + 4 * p.rows * (p.inner + p.cols),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, order, start, w, b, h }, { inner, cols, first, count, gelu: activate }) {
    for (let e = first; e < first + count; e++)
      for (let i = start[e]!; i < start[e + 1]!; i++)
        for (let n = 0; n < cols; n++) {
          let sum = b[e * cols + n]!;
          for (let k = 0; k < inner; k++) sum += x[order[i]! * inner + k]! * w[((e - first) * inner + k) * cols + n]!;
          h[i * cols + n] = activate ? gelu(sum) : sum;
        }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 128, first: 0, count: 16, gelu: 1, experts: 16 },
      { rows: 65, inner: 63, cols: 67, first: 0, count: 5, gelu: 0, experts: 5 },
      { rows: 130, inner: 128, cols: 64, first: 2, count: 3, gelu: 1, experts: 6 },
    ].map(({ experts, ...params }) => {
      const { order, start } = grouped(integers(5, [params.rows], experts - 1).data, experts);
      return {
        label: `${params.rows} × ${params.inner} × ${params.cols}${params.gelu ? " gelu" : ""}, experts ${params.first}…+${params.count} of ${experts}, the last empty`,
        params,
        tensors: {
          x: uniform(1, [params.rows, params.inner]),
          order,
          start,
          w: uniform(2, [params.count, params.inner, params.cols]),
          b: uniform(3, [experts, params.cols]),
          h: uniform(4, [params.rows, params.cols]),
        },
      };
    }),
});
