/** Gradient of the position embedding, of sequences that all start at position 0. */
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./position_backward.wgsl" with { type: "text" };

export const positionBackward = defineKernel({
  name: "embed/position_backward",
  summary: "dwpe[p] = Σ dx[t] over the rows t with t mod time = p, or added to what is there, for p < time",
  bindings: {
    dx: { access: "in", type: "f32", shape: "[T, C]" },
    dwpe: { access: "inout", type: "f32", shape: "[P, C]" },
  },
  /** rows: whole sequences of `time` rows each; add: 0 or 1. */
  params: { rows: "u32", width: "u32", time: "u32", add: "u32" },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.width, 64), p.time, 1] }],
  cost: (p) => ({ bytes: 4 * p.width * (p.rows + p.time), flops: p.rows * p.width }),
  reference({ dx, dwpe }, { rows, width, time, add }) {
    for (let p = 0; p < time; p++)
      for (let c = 0; c < width; c++) {
        let sum = add ? dwpe[p * width + c]! : 0;
        for (let t = p; t < rows; t += time) sum += dx[t * width + c]!;
        dwpe[p * width + c] = sum;
      }
  },
  cases: () =>
    [
      { rows: 1, width: 32, time: 1, add: 0 },
      { rows: 66, width: 63, time: 33, add: 1 },
      { rows: 128, width: 130, time: 16, add: 0 },
    ].map((params) => ({
      label: `${params.rows / params.time} × ${params.time} × ${params.width}${params.add ? ", add" : ""}`,
      params,
      tensors: {
        dx: uniform(1, [params.rows, params.width]),
        dwpe: uniform(2, [params.time + 3, params.width]),
      },
    })),
});
