/** Token and position embedding: one row of each table, added (spec §1.2 step 1). */
import { integers, listed, uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./embed_forward.wgsl" with { type: "text" };

export const embedForward = defineKernel({
  name: "embed/embed_forward",
  summary: "x[t] = wte[token[t]] + wpe[pos[t]]; rows whose token is outside this part of wte are left alone",
  bindings: {
    token: { access: "in", type: "u32", shape: "[T]" },
    pos: { access: "in", type: "u32", shape: "[T]" },
    wte: { access: "in", type: "table", shape: "[V part, C]" },
    wpe: { access: "in", type: "table", shape: "[P, C]" },
    x: { access: "out", type: "f32", shape: "[T, C]" },
  },
  /** first, count: the tokens [first, first + count) whose rows this part of wte holds. */
  params: { rows: "u32", width: "u32", first: "u32", count: "u32" },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.width, 64), p.rows, 1] }],
  cost: (p, weightBytes) => ({ bytes: p.rows * p.width * (4 + 2 * weightBytes), flops: p.rows * p.width }),
  reference({ token, pos, wte, wpe, x }, { rows, width, first, count }) {
    for (let t = 0; t < rows; t++) {
      const row = token[t]! - first;
      if (row < 0 || row >= count) continue;
      for (let c = 0; c < width; c++) x[t * width + c] = wte[row * width + c]! + wpe[pos[t]! * width + c]!;
    }
  },
  cases: () =>
    [
      { rows: 1, width: 32, first: 0, count: 50 },
      { rows: 65, width: 63, first: 0, count: 101 },
      { rows: 13, width: 128, first: 40, count: 30 },
    ].map((params, i) => ({
      label: `${params.rows} × ${params.width}, tokens from ${params.first}`,
      params,
      tensors: {
        token: i === 2 ? integers(1, [params.rows], 101) : integers(1, [params.rows], params.count),
        pos: listed(Array.from({ length: params.rows }, (_, t) => (t * 7) % 70)),
        wte: uniform(2, [params.count, params.width]),
        wpe: uniform(3, [70, params.width]),
        x: uniform(4, [params.rows, params.width]),
      },
    })),
});
