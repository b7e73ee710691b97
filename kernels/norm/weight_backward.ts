/** Gradients of LayerNorm's weight and bias: sums over the rows, in an order that does not depend on the device's width. */
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./weight_backward.wgsl" with { type: "text" };

export const weightBackward = defineKernel({
  name: "norm/weight_backward",
  summary: "dweight = Σ dy[t] · (x[t] − mean) · scale, dbias = Σ dy[t], or added to what is there",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, C]" },
    dy: { access: "in", type: "f32", shape: "[T, C]" },
    stats: { access: "in", type: "f32", shape: "[T, 2], as norm_backward writes it" },
    dweight: { access: "inout", type: "f32", shape: "[C]" },
    dbias: { access: "inout", type: "f32", shape: "[C]" },
  },
  params: { rows: "u32", width: "u32", add: "u32" },
  variants: [
    {
      name: "columns",
      code,
      constants: (gpu) => (gpu.software ? { COLS: 8, LANES: 1 } : { COLS: 16, LANES: 16 }),
      grid: (p, gpu) => [ceilDiv(p.width, gpu.software ? 8 : 16), 1, 1],
    },
  ],
  cost: (p) => ({ bytes: 8 * p.rows * p.width, flops: 5 * p.rows * p.width }),
  reference({ x, dy, stats, dweight, dbias }, { rows, width, add }) {
    for (let c = 0; c < width; c++) {
      let weight = add ? dweight[c]! : 0;
      let bias = add ? dbias[c]! : 0;
      for (let t = 0; t < rows; t++) {
        const g = dy[t * width + c]!;
        weight += g * (x[t * width + c]! - stats[2 * t]!) * stats[2 * t + 1]!;
        bias += g;
      }
      dweight[c] = weight;
      dbias[c] = bias;
    }
  },
  cases: () =>
    [
      { rows: 1, width: 32, add: 0 },
      { rows: 64, width: 63, add: 1 },
      { rows: 517, width: 131, add: 0 },
      { rows: 1030, width: 64, add: 1 },
    ].map((params) => ({
      label: `${params.rows} × ${params.width}${params.add ? ", add" : ""}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.width], 2),
        dy: uniform(2, [params.rows, params.width]),
        stats: uniform(3, [params.rows, 2]),
        dweight: uniform(4, [params.width], 10),
        dbias: uniform(5, [params.width], 10),
      },
    })),
});
