/** A Newton–Schulz iteration's odd polynomial, of x, y = x · A and z = x · A². */
import { uniform } from "../cases.ts";
import { blockGrid, ceilDiv, defineKernel } from "../kernel.ts";
import code from "./combine_update.wgsl" with { type: "text" };

export const combineUpdate = defineKernel({
  name: "optim/combine_update",
  summary: "x ← a · x + b · y + c · z",
  bindings: {
    x: { access: "inout", type: "f32", shape: "[n]" },
    y: { access: "in", type: "f32", shape: "[n]" },
    z: { access: "in", type: "f32", shape: "[n]" },
  },
  params: { count: "u32", a: "f32", b: "f32", c: "f32" },
  variants: [{ name: "elements", code, grid: (p) => blockGrid(ceilDiv(p.count, 256)) }],
  cost: (p) => ({ bytes: 16 * p.count, flops: 5 * p.count }),
  reference({ x, y, z }, { count, a, b, c }) {
    for (let i = 0; i < count; i++) x[i] = a * x[i]! + b * y[i]! + c * z[i]!;
  },
  cases: () =>
    [1, 63, 65, 70_001].map((count) => ({
      label: `${count}`,
      params: { count, a: 3.4445, b: -4.775, c: 2.0315 },
      tensors: { x: uniform(1, [count]), y: uniform(2, [count]), z: uniform(3, [count]) },
    })),
});
