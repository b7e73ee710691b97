/** The router in training: as `route_forward`, and all probabilities are kept for the way back. */
import { blank, uniform, zeros } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./gate_forward.wgsl" with { type: "text" };

export const gateForward = defineKernel({
  name: "moe/gate_forward",
  summary: "probs[t] = softmax(x[t] · gateᵀ); expert[t] = argmax, prob[t] = max; the lowest index on ties",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, C]" },
    gate: { access: "in", type: "f32", shape: "[E, C]" },
    probs: { access: "out", type: "f32", shape: "[T, E]" },
    expert: { access: "inout", type: "u32", shape: "[MoE layers · T]" },
    prob: { access: "inout", type: "f32", shape: "[MoE layers · T]" },
  },
  /** at: where this layer's rows start in expert and prob. */
  params: { rows: "u32", width: "u32", experts: "u32", at: "u32" },
  variants: [
    { name: "row", code, constants: (gpu) => ({ THREADS: gpu.software ? 16 : 128 }), grid: (p) => [p.rows, 1, 1] },
  ],
  cost: (p) => ({
    bytes: 4 * (p.rows * (p.width + p.experts) + p.experts * p.width),
    flops: 2 * p.rows * p.experts * p.width,
  }),
  reference({ x, gate, probs, expert, prob }, { rows, width, experts, at }) {
    for (let t = 0; t < rows; t++) {
      const logits = Array.from({ length: experts }, (_, e) => {
        let sum = 0;
        for (let c = 0; c < width; c++) sum += x[t * width + c]! * gate[e * width + c]!;
        return sum;
      });
      const max = logits.reduce((a, b) => Math.max(a, b));
      const total = logits.reduce((sum, z) => sum + Math.exp(z - max), 0);
      for (let e = 0; e < experts; e++) probs[t * experts + e] = Math.exp(logits[e]! - max) / total;
      expert[at + t] = logits.indexOf(max);
      prob[at + t] = 1 / total;
    }
  },
  cases: () => [
    ...[
      { rows: 1, width: 32, experts: 16, at: 0 },
      { rows: 65, width: 63, experts: 5, at: 70 },
      { rows: 9, width: 2048, experts: 16, at: 3 },
      { rows: 3, width: 64, experts: 131, at: 0 },
      { rows: 2, width: 8, experts: 1, at: 0 },
    ].map((params) => ({
      label: `${params.rows} × ${params.width}, ${params.experts} experts`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.width]),
        gate: uniform(2, [params.experts, params.width]),
        probs: zeros([params.rows, params.experts]),
        expert: blank([params.at + params.rows]),
        prob: zeros([params.at + params.rows]),
      },
    })),
    {
      label: "all tied",
      params: { rows: 4, width: 16, experts: 7, at: 0 },
      tensors: {
        x: uniform(1, [4, 16]),
        gate: zeros([7, 16]),
        probs: zeros([4, 7]),
        expert: blank([4]),
        prob: zeros([4]),
      },
    },
  ],
});
