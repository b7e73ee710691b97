/** GELU by itself, for training, which keeps what comes before it (spec §1.2). */
import { uniform } from "../cases.ts";
import { blockGrid, ceilDiv, defineKernel, gelu } from "../kernel.ts";
import code from "./gelu_forward.wgsl" with { type: "text" };

export const geluForward = defineKernel({
  name: "activation/gelu_forward",
  summary: "y = gelu(x)",
  bindings: {
    x: { access: "in", type: "f32", shape: "[n]" },
    y: { access: "out", type: "f32", shape: "[n]" },
  },
  params: { count: "u32" },
  variants: [{ name: "elements", code, grid: (p) => blockGrid(ceilDiv(p.count, 256)) }],
  cost: (p) => ({ bytes: 8 * p.count, flops: 12 * p.count }),
  reference({ x, y }, { count }) {
    for (let i = 0; i < count; i++) y[i] = gelu(x[i]!);
  },
  cases: () =>
    [1, 63, 65, 4096, 70_001].map((count) => ({
      label: `${count}`,
      params: { count },
      tensors: { x: uniform(1, [count], 12), y: uniform(2, [count]) },
    })),
});
