/** Before Newton–Schulz iterations: no singular value is to be over 1. */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./normalize_update.wgsl" with { type: "text" };

export const normalizeUpdate = defineKernel({
  name: "optim/normalize_update",
  summary: "x[e] ← x[e] / (‖x[e]‖ + 1e-7), by the Frobenius norm of each matrix",
  bindings: { x: { access: "inout", type: "f32", shape: "[E, n]" } },
  /** size: n, elements of one matrix. */
  params: { count: "u32", size: "u32" },
  variants: [{ name: "matrix", code, grid: (p) => [p.count, 1, 1] }],
  cost: (p) => ({ bytes: 12 * p.count * p.size, flops: 3 * p.count * p.size }),
  reference({ x }, { count, size }) {
    for (let e = 0; e < count; e++) {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += x[e * size + i]! ** 2;
      for (let i = 0; i < size; i++) x[e * size + i]! /= Math.sqrt(sum) + 1e-7;
    }
  },
  cases: () =>
    [
      { count: 1, size: 1 },
      { count: 3, size: 1023 },
      { count: 2, size: 4160 },
      // What no gradient has reached for long: its squares are 0 in f32.
      { count: 1, size: 64, length: 1e-22 },
    ].map(({ count, size, length = 1 }) => ({
      label: `${count} × ${size}${length < 1 ? `, as small as ${length}` : ""}`,
      params: { count, size },
      tensors: { x: uniform(1, [count, size], length) },
    })),
});
