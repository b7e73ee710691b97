/** A Newton–Schulz iteration's odd polynomial a x + b x³ + c x⁵ as the matrix that x is multiplied by, from A = xᵀ · x. */
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import { hasTiles } from "../matmul/matmul_variants.ts";
import code from "./polynomial_update.wgsl" with { type: "text" };
import tile from "./polynomial_update_tile.wgsl" with { type: "text" };

export const polynomialUpdate = defineKernel({
  name: "optim/polynomial_update",
  summary: "w[e] = a · 1 + b · A[e] + c · A[e]² for symmetric matrices A",
  bindings: {
    /** A. Only read: "inout" says that it is f32, as gradients are. */
    gram: { access: "inout", type: "matrix", shape: "[E, C, C]" },
    w: { access: "inout", type: "matrix", shape: "[E, C, C]" },
  },
  params: { count: "u32", width: "u32", a: "f32", b: "f32", c: "f32" },
  variants: [
    {
      name: "tile",
      code: tile,
      fits: (gpu, p) => hasTiles(gpu) && p.width % 4 === 0,
      grid: (p) => [ceilDiv(p.width, 64), ceilDiv(p.width, 64), p.count],
    },
    { name: "elements", code, grid: (p) => [ceilDiv(p.width, 64), p.width, p.count] },
  ],
  cost: (p) => ({ bytes: 8 * p.count * p.width ** 2, flops: 2 * p.count * p.width ** 3 }),
  reference({ gram, w }, { count, width, a, b, c }) {
    for (let e = 0; e < count; e++)
      for (let i = 0; i < width; i++)
        for (let j = 0; j < width; j++) {
          const [row, column] = [(e * width + i) * width, (e * width + j) * width];
          let sum = 0;
          for (let k = 0; k < width; k++) sum += gram[row + k]! * gram[column + k]!;
          w[row + j] = (i === j ? a : 0) + b * gram[row + j]! + c * sum;
        }
  },
  cases: () =>
    [
      { count: 1, width: 1 },
      { count: 3, width: 63 },
      { count: 2, width: 64 },
      { count: 1, width: 68 },
      { count: 2, width: 192 },
    ].map(({ count, width }) => {
      const gram = uniform(1, [count, width, width], 0.2);
      for (let i = 0; i < gram.data.length; i++) {
        const [e, row, column] = [Math.floor(i / width ** 2), Math.floor(i / width) % width, i % width];
        if (row > column) gram.data[i] = gram.data[(e * width + column) * width + row]!;
      }
      return {
        label: `${count} × ${width}`,
        params: { count, width, a: 3.4445, b: -4.775, c: 2.0315 },
        tensors: { gram, w: uniform(2, [count, width, width]) },
      };
    }),
});
