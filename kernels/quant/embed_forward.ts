/** Token embedding from a quantized table, and position embedding, added (spec §1.2 step 1). */
import { integers, listed, uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./embed_forward.wgsl" with { type: "text" };
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";

export const embedForward = defineKernel({
  name: "quant/embed_forward",
  summary: "x[t] = wte[token[t]] + wpe[pos[t]] of a quantized wte; rows whose token is not in this part are left alone",
  bindings: {
    token: { access: "in", type: "u32", shape: "[T]" },
    pos: { access: "in", type: "u32", shape: "[T]" },
    wte: { access: "in", type: "u32", shape: "words of [C, V part]" },
    wpe: { access: "in", type: "table", shape: "[P, C]" },
    x: { access: "out", type: "f32", shape: "[T, C]" },
  },
  /** first, count: the tokens [first, first + count) that this part of wte holds. */
  params: { rows: "u32", width: "u32", first: "u32", count: "u32", ...groupingParams },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.width, 64), p.rows, 1] }],
  cost: (p, weightBytes) => ({
    bytes: p.rows * p.width * (4 + weightBytes + quantBytes(p)),
    flops: 3 * p.rows * p.width,
  }),
  reference({ token, pos, wte: words, wpe, x }, params) {
    const { rows, width, first, count } = params;
    const wte = matrixOf(words, params, width, count);
    for (let t = 0; t < rows; t++) {
      const row = token[t]! - first;
      if (row < 0 || row >= count) continue;
      for (let c = 0; c < width; c++) x[t * width + c] = wte[c * count + row]! + wpe[pos[t]! * width + c]!;
    }
  },
  cases: () =>
    [
      { rows: 1, width: 32, first: 0, count: 50, bits: 8, group: 32 },
      { rows: 65, width: 63, first: 0, count: 101, bits: 4, group: 64 },
      { rows: 13, width: 256, first: 40, count: 30, bits: 4, group: 128 },
    ].map((params, i) => ({
      label: `${params.rows} × ${params.width}, tokens from ${params.first}, ${params.bits} bits by ${params.group}`,
      params,
      tensors: {
        token: i === 2 ? integers(1, [params.rows], 101) : integers(1, [params.rows], params.count),
        pos: listed(Array.from({ length: params.rows }, (_, t) => (t * 7) % 70)),
        wte: quantized(2, params, params.width, params.count),
        wpe: uniform(3, [70, params.width]),
        x: uniform(4, [params.rows, params.width]),
      },
    })),
});
