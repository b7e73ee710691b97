/** Rows in the order of their experts, scaled or not: what the products of the way back read. */
import { grouped, integers, uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./gather_forward.wgsl" with { type: "text" };

export const gatherForward = defineKernel({
  name: "moe/gather_forward",
  summary: "y[i] = x[order[i]], times prob[order[i]] if scaled, for i below start[E]",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, C]" },
    order: { access: "in", type: "u32", shape: "[T]" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    prob: { access: "in", type: "f32", shape: "[MoE layers · T]" },
    y: { access: "inout", type: "f32", shape: "[T, C]" },
  },
  /** at: where this layer's rows start in prob; scaled: 0 or 1. */
  params: { rows: "u32", width: "u32", experts: "u32", at: "u32", scaled: "u32" },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.width, 64), p.rows, 1] }],
  cost: (p) => ({ bytes: 8 * p.rows * p.width, flops: p.rows * p.width * p.scaled }),
  reference({ x, order, start, prob, y }, { width, experts, at, scaled }) {
    for (let i = 0; i < start[experts]!; i++)
      for (let c = 0; c < width; c++)
        y[i * width + c] = x[order[i]! * width + c]! * (scaled ? prob[at + order[i]!]! : 1);
  },
  cases: () =>
    [
      { rows: 1, width: 32, experts: 16, at: 0, scaled: 0, kept: 16 },
      { rows: 65, width: 63, experts: 5, at: 7, scaled: 1, kept: 5 },
      { rows: 130, width: 64, experts: 4, at: 0, scaled: 1, kept: 3 },
    ].map(({ kept, ...params }) => {
      const { order, start } = grouped(integers(5, [params.rows], params.experts).data, params.experts);
      // Experts from `kept` on have lost their rows.
      for (let e = kept; e <= params.experts; e++) start.data[e] = start.data[kept]!;
      return {
        label: `${params.rows} × ${params.width}${params.scaled ? ", scaled" : ""}, ${start.data[params.experts]} rows kept`,
        params,
        tensors: {
          x: uniform(1, [params.rows, params.width]),
          order,
          start,
          prob: uniform(2, [params.at + params.rows]),
          y: uniform(3, [params.rows, params.width]),
        },
      };
    }),
});
