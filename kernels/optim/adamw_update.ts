/** AdamW with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), one tensor at a time. */
import { uniform } from "../cases.ts";
import { blockGrid, ceilDiv, defineKernel } from "../kernel.ts";
import code from "./adamw_update.wgsl" with { type: "text" };

export const adamwUpdate = defineKernel({
  name: "optim/adamw_update",
  summary: "m, v ← moments of clip · g; w ← w − rate · decay · w − rate · m̂ / (√v̂ + eps)",
  bindings: {
    g: { access: "in", type: "f32", shape: "[n]" },
    w: { access: "inout", type: "f32", shape: "[n]" },
    m: { access: "inout", type: "f32", shape: "[n]" },
    v: { access: "inout", type: "f32", shape: "[n]" },
  },
  /** clip: factor of the gradient; unbias1, unbias2: 1 − β₁ˢ and 1 − β₂ˢ at step s, counted from 1. */
  params: {
    count: "u32",
    rate: "f32",
    beta1: "f32",
    beta2: "f32",
    eps: "f32",
    decay: "f32",
    clip: "f32",
    unbias1: "f32",
    unbias2: "f32",
  },
  variants: [{ name: "elements", code, grid: (p) => blockGrid(ceilDiv(p.count, 256)) }],
  cost: (p) => ({ bytes: 28 * p.count, flops: 16 * p.count }),
  reference({ g, w, m, v }, { count, rate, beta1, beta2, eps, decay, clip, unbias1, unbias2 }) {
    for (let i = 0; i < count; i++) {
      const slope = g[i]! * clip;
      m[i] = beta1 * m[i]! + (1 - beta1) * slope;
      v[i] = beta2 * v[i]! + (1 - beta2) * slope * slope;
      w[i] = w[i]! * (1 - rate * decay) - (rate * (m[i]! / unbias1)) / (Math.sqrt(v[i]! / unbias2) + eps);
    }
  },
  cases: () =>
    [
      { count: 1, decay: 0, clip: 1 },
      { count: 63, decay: 0.1, clip: 0.5 },
      { count: 65, decay: 0.1, clip: 1 },
      { count: 70_001, decay: 0.1, clip: 0.01 },
    ].map((some) => {
      const v = uniform(4, [some.count], 0.5);
      for (let i = 0; i < v.data.length; i++) v.data[i]! += 0.5;
      return {
        label: `${some.count}, decay ${some.decay}, clip ${some.clip}`,
        params: { rate: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, unbias1: 0.271, unbias2: 0.142625, ...some },
        tensors: {
          g: uniform(1, [some.count]),
          w: uniform(2, [some.count]),
          m: uniform(3, [some.count]),
          v,
        },
      };
    }),
});
