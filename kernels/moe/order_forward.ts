/** Orders rows by expert, so that each expert's rows stand together: a stable counting sort. */
import { blank, integers, listed } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./order_forward.wgsl" with { type: "text" };

export const orderForward = defineKernel({
  name: "moe/order_forward",
  summary: "order = rows sorted by (expert, row); start[e] = rows of experts below e",
  bindings: {
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    order: { access: "out", type: "u32", shape: "[T]" },
    start: { access: "out", type: "u32", shape: "[E + 1]" },
  },
  params: { rows: "u32", experts: "u32", at: "u32" },
  variants: [{ name: "workgroup", code, grid: () => [1, 1, 1] }],
  cost: (p) => ({ bytes: 8 * p.rows + 4 * p.experts, flops: 0 }),
  reference({ expert, order, start }, { rows, experts, at }) {
    let next = 0;
    for (let e = 0; e < experts; e++) {
      start[e] = next;
      for (let t = 0; t < rows; t++) if (expert[at + t] === e) order[next++] = t;
    }
    start[experts] = next;
  },
  cases: () => [
    ...[
      { rows: 1, experts: 16, at: 0 },
      { rows: 63, experts: 5, at: 11 },
      { rows: 513, experts: 16, at: 0 },
      { rows: 40, experts: 131, at: 0 },
    ].map((params) => ({
      label: `${params.rows} rows, ${params.experts} experts`,
      params,
      tensors: {
        expert: integers(1, [params.at + params.rows], params.experts),
        order: blank([params.rows]),
        start: blank([params.experts + 1]),
      },
    })),
    {
      label: "rows that capacity dropped, of expert E",
      params: { rows: 70, experts: 5, at: 3 },
      tensors: { expert: integers(2, [73], 6), order: blank([70]), start: blank([6]) },
    },
    {
      label: "all rows to the last expert",
      params: { rows: 300, experts: 4, at: 0 },
      tensors: { expert: listed(Array(300).fill(3)), order: blank([300]), start: blank([5]) },
    },
  ],
});
