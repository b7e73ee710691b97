/** Second matrix of the experts for few rows (decoding), scaled by the raw probability and added in place (combine). */
import { integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { downRowVariants } from "./row_variants.ts";

export const downRowForward = defineKernel({
  name: "moe/down_row_forward",
  summary: "y[t] += prob[t] · (h[t] · w[e] + b[e]), e = expert[t], for rows whose expert is in this part of w",
  bindings: {
    h: { access: "in", type: "f32", shape: "[T, K]" },
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    prob: { access: "in", type: "f32", shape: "[MoE layers · T]" },
    w: { access: "in", type: "matrix", shape: "[E part, K, N]" },
    b: { access: "in", type: "f32", shape: "[E, N]" },
    y: { access: "inout", type: "f32", shape: "[T, N]" },
  },
  params: { rows: "u32", inner: "u32", cols: "u32", first: "u32", count: "u32", at: "u32" },
  variants: downRowVariants,
  cost: (p, weightBytes) => ({
    bytes: p.rows * (p.inner * p.cols * weightBytes + 4 * (p.inner + 2 * p.cols)),
    flops: 2 * p.rows * p.inner * p.cols,
  }),
  reference({ h, expert, prob, w, b, y }, { rows, inner, cols, first, count, at }) {
    for (let t = 0; t < rows; t++) {
      const e = expert[at + t]!;
      if (e < first || e >= first + count) continue;
      for (let n = 0; n < cols; n++) {
        let sum = b[e * cols + n]!;
        for (let k = 0; k < inner; k++) sum += h[t * inner + k]! * w[((e - first) * inner + k) * cols + n]!;
        y[t * cols + n]! += prob[at + t]! * sum;
      }
    }
  },
  cases: () =>
    [
      { rows: 1, inner: 128, cols: 32, first: 0, count: 16, at: 0, experts: 16 },
      { rows: 3, inner: 67, cols: 63, first: 0, count: 5, at: 2, experts: 5 },
      { rows: 4, inner: 65, cols: 128, first: 2, count: 2, at: 0, experts: 6 },
    ].map(({ experts, ...params }) => ({
      label: `${params.rows} × ${params.inner} × ${params.cols}, experts ${params.first}…+${params.count} of ${experts}`,
      params,
      tensors: {
        h: uniform(1, [params.rows, params.inner]),
        expert: integers(5, [params.at + params.rows], experts),
        prob: uniform(6, [params.at + params.rows]),
        w: uniform(2, [params.count, params.inner, params.cols]),
        b: uniform(3, [experts, params.cols]),
        y: uniform(4, [params.rows, params.cols]),
      },
    })),
});
