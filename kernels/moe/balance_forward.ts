/** What the balance loss E · Σ me · ce is made of (spec §4 step 5), before any token is dropped. */
import { integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./balance_forward.wgsl" with { type: "text" };

export const balanceForward = defineKernel({
  name: "moe/balance_forward",
  summary: "balance[to + e] = mean of probs[:, e], balance[to + E + e] = share of rows whose expert is e",
  bindings: {
    probs: { access: "in", type: "f32", shape: "[T, E]" },
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    balance: { access: "inout", type: "f32", shape: "[MoE layers, 2, E]" },
  },
  /** at, to: where this layer starts in expert and in balance. */
  params: { rows: "u32", experts: "u32", at: "u32", to: "u32" },
  variants: [
    { name: "expert", code, constants: (gpu) => ({ THREADS: gpu.software ? 8 : 128 }), grid: (p) => [p.experts, 1, 1] },
  ],
  cost: (p) => ({ bytes: 4 * p.rows * (p.experts + 1), flops: p.rows * p.experts }),
  reference({ probs, expert, balance }, { rows, experts, at, to }) {
    for (let e = 0; e < experts; e++) {
      let [sum, count] = [0, 0];
      for (let t = 0; t < rows; t++) {
        sum += probs[t * experts + e]!;
        if (expert[at + t] === e) count++;
      }
      balance[to + e] = sum / rows;
      balance[to + experts + e] = count / rows;
    }
  },
  cases: () =>
    [
      { rows: 1, experts: 16, at: 0, to: 0 },
      { rows: 65, experts: 5, at: 70, to: 10 },
      { rows: 1031, experts: 16, at: 0, to: 32 },
      { rows: 40, experts: 131, at: 7, to: 0 },
    ].map((params) => ({
      label: `${params.rows} rows, ${params.experts} experts`,
      params,
      tensors: {
        probs: uniform(1, [params.rows, params.experts]),
        expert: integers(2, [params.at + params.rows], params.experts),
        balance: uniform(3, [params.to + 2 * params.experts]),
      },
    })),
});
