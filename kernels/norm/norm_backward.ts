/** Gradient of LayerNorm's input. */
import { uniform, zeros } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./norm_backward.wgsl" with { type: "text" };

export const normBackward = defineKernel({
  name: "norm/norm_backward",
  summary:
    "dx = gradient through y = norm(x), or added to what is there; stats[t] = mean of x[t], 1 / √(variance + eps)",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, C]" },
    weight: { access: "in", type: "f32", shape: "[C]" },
    dy: { access: "in", type: "f32", shape: "[T, C]" },
    dx: { access: "inout", type: "f32", shape: "[T, C]" },
    stats: { access: "out", type: "f32", shape: "[T, 2]" },
  },
  /** add: 0 or 1. */
  params: { rows: "u32", width: "u32", add: "u32", eps: "f32" },
  variants: [
    { name: "row", code, constants: (gpu) => ({ THREADS: gpu.software ? 8 : 128 }), grid: (p) => [p.rows, 1, 1] },
  ],
  cost: (p) => ({ bytes: 4 * p.rows * p.width * (3 + p.add), flops: 16 * p.rows * p.width }),
  reference({ x, weight, dy, dx, stats }, { rows, width, add, eps }) {
    for (let t = 0; t < rows; t++) {
      const at = t * width;
      let mean = 0;
      for (let c = 0; c < width; c++) mean += x[at + c]! / width;
      let variance = 0;
      for (let c = 0; c < width; c++) variance += (x[at + c]! - mean) ** 2 / width;
      const scale = 1 / Math.sqrt(variance + eps);
      let [sum, along] = [0, 0];
      for (let c = 0; c < width; c++) {
        const g = dy[at + c]! * weight[c]!;
        sum += g / width;
        along += (g * (x[at + c]! - mean) * scale) / width;
      }
      for (let c = 0; c < width; c++) {
        const g = (dy[at + c]! * weight[c]! - sum - (x[at + c]! - mean) * scale * along) * scale;
        dx[at + c] = add ? dx[at + c]! + g : g;
      }
      stats[2 * t] = mean;
      stats[2 * t + 1] = scale;
    }
  },
  cases: () =>
    [
      { rows: 1, width: 32, add: 0, eps: 1e-5 },
      { rows: 64, width: 63, add: 1, eps: 1e-5 },
      { rows: 3, width: 2048, add: 1, eps: 1e-5 },
      { rows: 65, width: 131, add: 0, eps: 1e-3 },
    ].map((params) => {
      const x = uniform(1, [params.rows, params.width], 4);
      for (let i = 0; i < x.data.length; i++) x.data[i]! += 10;
      return {
        label: `${params.rows} × ${params.width}, mean 10${params.add ? ", add" : ""}`,
        params,
        tensors: {
          x,
          weight: uniform(2, [params.width]),
          dy: uniform(3, [params.rows, params.width]),
          dx: uniform(4, [params.rows, params.width]),
          stats: zeros([params.rows, 2]),
        },
      };
    }),
});
