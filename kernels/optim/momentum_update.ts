/** First step of Muon (Jordan et al. 2024): momentum, laid out for products over the rows. */
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./momentum_update.wgsl" with { type: "text" };

export const momentumUpdate = defineKernel({
  name: "optim/momentum_update",
  summary: "m ← beta · m + (1 − beta) · clip · g; x = beta · m + (1 − beta) · clip · g, transposed where N ≥ K",
  bindings: {
    /** Only read: "inout" says that it is f32, as gradients are. */
    g: { access: "inout", type: "matrix", shape: "[E, K, N]" },
    m: { access: "inout", type: "matrix", shape: "[E, K, N]" },
    x: { access: "out", type: "f32", shape: "[E, max(K, N), min(K, N)]" },
  },
  /** clip: factor of the gradient. */
  params: { count: "u32", inner: "u32", cols: "u32", beta: "f32", clip: "f32" },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.cols, 64), p.inner, p.count] }],
  cost: (p) => ({ bytes: 16 * p.count * p.inner * p.cols, flops: 5 * p.count * p.inner * p.cols }),
  reference({ g, m, x }, { count, inner, cols, beta, clip }) {
    for (let e = 0; e < count; e++)
      for (let k = 0; k < inner; k++)
        for (let n = 0; n < cols; n++) {
          const i = (e * inner + k) * cols + n;
          const slope = (1 - beta) * clip * g[i]!;
          m[i] = beta * m[i]! + slope;
          x[cols >= inner ? (e * cols + n) * inner + k : i] = beta * m[i]! + slope;
        }
  },
  cases: () =>
    shapes.map(({ label, count, inner, cols }) => ({
      label,
      params: { count, inner, cols, beta: 0.95, clip: 0.5 },
      tensors: {
        g: uniform(1, [count, inner, cols]),
        m: uniform(2, [count, inner, cols]),
        x: uniform(3, [count, Math.max(inner, cols), Math.min(inner, cols)]),
      },
    })),
});

/** Shapes of cases of what goes from matrices to rows and back. */
export const shapes = [
  { count: 1, inner: 1, cols: 1 },
  { count: 3, inner: 63, cols: 67 },
  { count: 2, inner: 67, cols: 63 },
  { count: 1, inner: 64, cols: 192 },
  { count: 4, inner: 128, cols: 64 },
].map((shape) => ({ ...shape, label: `${shape.count} × ${shape.inner} × ${shape.cols}` }));
