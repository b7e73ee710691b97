/** LayerNorm with weight and bias, biased variance (spec §1.2). */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./norm_forward.wgsl" with { type: "text" };

export const normForward = defineKernel({
  name: "norm/norm_forward",
  summary: "y[t] = (x[skip + t] − mean) / √(variance + eps) · weight + bias",
  bindings: {
    x: { access: "in", type: "f32", shape: "[skip + T, C]" },
    weight: { access: "in", type: "f32", shape: "[C]" },
    bias: { access: "in", type: "f32", shape: "[C]" },
    y: { access: "out", type: "f32", shape: "[T, C]" },
  },
  /** skip: rows of x before the first that is normalised. */
  params: { rows: "u32", width: "u32", skip: "u32", eps: "f32" },
  variants: [
    {
      name: "row",
      code,
      constants: (gpu) => ({ THREADS: gpu.software ? 8 : 128 }),
      grid: (p) => [p.rows, 1, 1],
    },
  ],
  cost: (p) => ({ bytes: 8 * p.rows * p.width, flops: 8 * p.rows * p.width }),
  reference({ x, weight, bias, y }, { rows, width, skip, eps }) {
    for (let t = 0; t < rows; t++) {
      const row = x.subarray((skip + t) * width, (skip + t + 1) * width);
      let mean = 0;
      for (const value of row) mean += value / width;
      let variance = 0;
      for (const value of row) variance += (value - mean) ** 2 / width;
      const scale = 1 / Math.sqrt(variance + eps);
      for (let c = 0; c < width; c++) y[t * width + c] = (row[c]! - mean) * scale * weight[c]! + bias[c]!;
    }
  },
  cases: () =>
    [
      { rows: 1, width: 1, skip: 0, eps: 1e-5 },
      { rows: 64, width: 63, skip: 0, eps: 1e-5 },
      { rows: 1, width: 2048, skip: 12, eps: 1e-5 },
      { rows: 65, width: 131, skip: 1, eps: 1e-3 },
    ].map((params) => {
      const x = uniform(1, [params.skip + params.rows, params.width], 4);
      // A large mean is where a one-pass variance loses its digits.
      for (let i = 0; i < x.data.length; i++) x.data[i]! += 100;
      return {
        label: `${params.rows} × ${params.width}, mean 100`,
        params,
        tensors: {
          x,
          weight: uniform(2, [params.width]),
          bias: uniform(3, [params.width]),
          y: uniform(4, [params.rows, params.width]),
        },
      };
    }),
});
