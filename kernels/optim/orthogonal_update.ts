/** Last step of Muon (Jordan et al. 2024): the orthogonal matrix goes into the weights, with decoupled decay. */
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import { shapes } from "./momentum_update.ts";
import code from "./orthogonal_update.wgsl" with { type: "text" };

export const orthogonalUpdate = defineKernel({
  name: "optim/orthogonal_update",
  summary: "w ← w − rate · decay · w − rate · scale · x, x transposed where N ≥ K",
  bindings: {
    x: { access: "in", type: "f32", shape: "[E, max(K, N), min(K, N)]" },
    w: { access: "inout", type: "matrix", shape: "[E, K, N]" },
  },
  params: { count: "u32", inner: "u32", cols: "u32", rate: "f32", scale: "f32", decay: "f32" },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.cols, 64), p.inner, p.count] }],
  cost: (p) => ({ bytes: 12 * p.count * p.inner * p.cols, flops: 4 * p.count * p.inner * p.cols }),
  reference({ x, w }, { count, inner, cols, rate, scale, decay }) {
    for (let e = 0; e < count; e++)
      for (let k = 0; k < inner; k++)
        for (let n = 0; n < cols; n++) {
          const i = (e * inner + k) * cols + n;
          w[i] = w[i]! * (1 - rate * decay) - rate * scale * x[cols >= inner ? (e * cols + n) * inner + k : i]!;
        }
  },
  cases: () =>
    shapes.map(({ label, count, inner, cols }) => ({
      label,
      params: { count, inner, cols, rate: 0.01, scale: 0.8, decay: 0.1 },
      tensors: {
        x: uniform(1, [count, Math.max(inner, cols), Math.min(inner, cols)]),
        w: uniform(2, [count, inner, cols]),
      },
    })),
});
