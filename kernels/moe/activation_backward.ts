/** Back through an expert's GELU, and the gradient of the probability that scaled its output. */
import { grouped, integers, uniform } from "../cases.ts";
import { defineKernel, gelu, geluSlope } from "../kernel.ts";
import code from "./activation_backward.wgsl" with { type: "text" };

export const activationBackward = defineKernel({
  name: "moe/activation_backward",
  summary: "dprob[order[i]] = (gelu(u[i]) · g[i] + b[e] · dy[i]) / prob[order[i]], then g[i] *= gelu'(u[i])",
  bindings: {
    u: { access: "in", type: "f32", shape: "[T, F], in order, before GELU" },
    dy: { access: "in", type: "f32", shape: "[T, C], in order: the gradient of the output, times prob" },
    b: { access: "in", type: "f32", shape: "[E, C], the bias of the second matrix" },
    order: { access: "in", type: "u32", shape: "[T]" },
    start: { access: "in", type: "u32", shape: "[E + 1]" },
    prob: { access: "in", type: "f32", shape: "[MoE layers · T]" },
    g: { access: "inout", type: "f32", shape: "[T, F], in order: dy through the second matrix" },
    dprob: { access: "inout", type: "f32", shape: "[T]" },
  },
  params: { rows: "u32", inner: "u32", width: "u32", experts: "u32", at: "u32" },
  variants: [
    { name: "row", code, constants: (gpu) => ({ THREADS: gpu.software ? 8 : 128 }), grid: (p) => [p.rows, 1, 1] },
  ],
  cost: (p) => ({ bytes: 4 * p.rows * (3 * p.inner + p.width), flops: p.rows * (30 * p.inner + 2 * p.width) }),
  reference({ u, dy, b, order, start, prob, g, dprob }, { inner, width, experts, at }) {
    for (let e = 0; e < experts; e++)
      for (let i = start[e]!; i < start[e + 1]!; i++) {
        let sum = 0;
        for (let f = 0; f < inner; f++) sum += gelu(u[i * inner + f]!) * g[i * inner + f]!;
        for (let c = 0; c < width; c++) sum += b[e * width + c]! * dy[i * width + c]!;
        dprob[order[i]!] = sum / prob[at + order[i]!]!;
        for (let f = 0; f < inner; f++) g[i * inner + f]! *= geluSlope(u[i * inner + f]!);
      }
  },
  cases: () =>
    [
      { rows: 1, inner: 128, width: 32, experts: 16, at: 0, kept: 16 },
      { rows: 65, inner: 67, width: 63, experts: 5, at: 7, kept: 5 },
      { rows: 130, inner: 256, width: 64, experts: 4, at: 0, kept: 3 },
    ].map(({ kept, ...params }) => {
      const { rows, inner, width, experts, at } = params;
      const { order, start } = grouped(integers(5, [rows], experts).data, experts);
      for (let e = kept; e <= experts; e++) start.data[e] = start.data[kept]!;
      const prob = uniform(4, [at + rows], 0.4);
      for (let i = 0; i < prob.data.length; i++) prob.data[i]! += 0.5;
      return {
        label: `${rows} × ${inner} → ${width}, ${start.data[experts]} rows kept`,
        params,
        tensors: {
          u: uniform(1, [rows, inner], 3),
          dy: uniform(2, [rows, width]),
          b: uniform(3, [experts, width]),
          order,
          start,
          prob,
          g: uniform(6, [rows, inner]),
          dprob: uniform(7, [rows]),
        },
      };
    }),
});
