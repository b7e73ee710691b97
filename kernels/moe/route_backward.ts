/** Back through the gate: what the chosen probability and the balance loss ask of it. */
import { integers, uniform, zeros } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./route_backward.wgsl" with { type: "text" };

export const routeBackward = defineKernel({
  name: "moe/route_backward",
  summary: "dz[t] = gradient of the gate's logits, dx[t] = dz[t] · gate",
  bindings: {
    probs: { access: "in", type: "f32", shape: "[T, E]" },
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]; E for dropped rows" },
    dprob: { access: "in", type: "f32", shape: "[T]; of the chosen probability, not read for dropped rows" },
    balance: { access: "in", type: "f32", shape: "[MoE layers, 2, E]" },
    gate: { access: "in", type: "f32", shape: "[E, C]" },
    dz: { access: "out", type: "f32", shape: "[T, E]" },
    dx: { access: "out", type: "f32", shape: "[T, C]" },
  },
  /** at, to: where this layer starts in expert and in balance; aux: weight of the balance loss, times E / rows. */
  params: { rows: "u32", width: "u32", experts: "u32", at: "u32", to: "u32", aux: "f32" },
  variants: [
    { name: "row", code, constants: (gpu) => ({ THREADS: gpu.software ? 8 : 128 }), grid: (p) => [p.rows, 1, 1] },
  ],
  cost: (p) => ({
    bytes: 4 * (p.rows * (2 * p.experts + p.width) + p.experts * p.width),
    flops: 2 * p.rows * p.experts * (p.width + 3),
  }),
  reference({ probs, expert, dprob, balance, gate, dz, dx }, { rows, width, experts, at, to, aux }) {
    for (let t = 0; t < rows; t++) {
      const slope = (e: number) => aux * balance[to + experts + e]! + (expert[at + t] === e ? dprob[t]! : 0);
      let mean = 0;
      for (let e = 0; e < experts; e++) mean += probs[t * experts + e]! * slope(e);
      for (let e = 0; e < experts; e++) dz[t * experts + e] = probs[t * experts + e]! * (slope(e) - mean);
      for (let c = 0; c < width; c++) {
        let sum = 0;
        for (let e = 0; e < experts; e++) sum += dz[t * experts + e]! * gate[e * width + c]!;
        dx[t * width + c] = sum;
      }
    }
  },
  cases: () =>
    [
      { rows: 1, width: 32, experts: 16, at: 0, to: 0, aux: 0.16 },
      { rows: 65, width: 63, experts: 5, at: 70, to: 10, aux: 0.5 },
      { rows: 9, width: 2048, experts: 16, at: 3, to: 32, aux: 0 },
      { rows: 3, width: 64, experts: 131, at: 0, to: 0, aux: 1 },
    ].map((params) => {
      const { rows, width, experts, at, to } = params;
      const probs = uniform(1, [rows, experts], 0.5);
      for (let t = 0; t < rows; t++) {
        const row = probs.data.subarray(t * experts, (t + 1) * experts);
        let total = 0;
        for (const p of row) total += p + 0.5;
        for (let e = 0; e < experts; e++) row[e] = (row[e]! + 0.5) / total;
      }
      return {
        label: `${rows} × ${width}, ${experts} experts, some rows dropped`,
        params,
        tensors: {
          probs,
          expert: integers(2, [at + rows], experts + 1),
          dprob: uniform(3, [rows]),
          balance: uniform(4, [to + 2 * experts]),
          gate: uniform(5, [experts, width]),
          dz: zeros([rows, experts]),
          dx: uniform(6, [rows, width]),
        },
      };
    }),
});
