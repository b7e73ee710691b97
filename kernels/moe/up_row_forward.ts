/** First matrix of the experts for few rows (decoding): each row reads its own expert's number. */
import { integers, uniform } from "../cases.ts";
import { defineKernel, gelu } from "../kernel.ts";
import { upRowVariants } from "./row_variants.ts";

export const upRowForward = defineKernel({
  name: "moe/up_row_forward",
  summary: "h[t] = gelu(x[t] · w[e] + b[e]), e = expert[t], for rows whose expert is in this part of w",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, K]" },
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    w: { access: "in", type: "matrix", shape: "[E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    h: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", at: "u32" },
  variants: upRowVariants,
  cost: (p, weightBytes) => ({
    bytes: p.rows * (p.inner * p.cols * weightBytes + 4 * (p.inner + p.cols)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ x, expert, w, b, h }, { rows, inner, cols, first, count, at }) {
    for (let t = 0; t < rows; t++) {
      const e = expert[at + t]!;
      if (e < first || e >= first + count) continue;
      for (let n = 0; n < cols; n++) {
        let sum = b[e * cols + n]!;
        for (let k = 0; k < inner; k++) sum += x[t * inner + k]! * w[((e - first) * inner + k) * cols + n]!;
        h[t * cols + n] = gelu(sum);
      }
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 32, cols: 128, first: 0, count: 16, at: 0, experts: 16 },
      { rows: 3, inner: 63, cols: 67, first: 0, count: 5, at: 2, experts: 5 },
      { rows: 4, inner: 128, cols: 65, first: 2, count: 2, at: 0, experts: 6 },
    ].map(({ experts, ...params }) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.inner]),
        expert: integers(5, [params.at + params.rows], experts),
        w: uniform(2, [params.count, params.inner, params.cols]),
        b: uniform(3, [experts, params.cols]),
        h: uniform(4, [params.rows, params.cols]),
      },
    })),
});
