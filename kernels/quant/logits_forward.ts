/** Final logits over one part of a quantized embedding (spec §1.2 step 3). */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";
import { logitsVariants } from "./variants.ts";

export const logitsForward = defineKernel({
  name: "quant/logits_forward",
  summary: "y[t, first + i] = x[t] · wte[i] for the rows i of this part of a quantized wte",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, C]" },
    wte: { access: "in", type: "u32", shape: "words of [C, V part]" },
    y: { access: "inout", type: "f32", shape: "[T, V]" },
  },
  /** vocabulary: columns of y; first, count: the columns that this part of wte gives. */
  params: { rows: "u32", width: "u32", vocabulary: "u32", first: "u32", count: "u32", ...groupingParams },
  variants: logitsVariants,
  cost: (p) => ({
    bytes: p.count * p.width * quantBytes(p) + 4 * p.rows * (p.width + p.count),
    flops: 2 * p.rows * p.count * p.width,
  }),
  reference({ x, wte: words, y }, params) {
    const { rows, width, vocabulary, first, count } = params;
    const wte = matrixOf(words, params, width, count);
    for (let t = 0; t < rows; t++)
      for (let v = 0; v < count; v++) {
        let sum = 0;
        for (let c = 0; c < width; c++) sum += x[t * width + c]! * wte[c * count + v]!;
        y[t * vocabulary + first + v] = sum;
      }
  },
  cases: () =>
    [
      { rows: 1, width: 64, vocabulary: 1024, first: 0, count: 1024, bits: 8, group: 64 },
      { rows: 1, width: 63, vocabulary: 131, first: 64, count: 67, bits: 4, group: 32 },
      { rows: 17, width: 64, vocabulary: 129, first: 0, count: 129, bits: 8, group: 32 },
      { rows: 70, width: 256, vocabulary: 200, first: 3, count: 131, bits: 4, group: 128 },
    ].map((params) => ({
      label: `${params.rows} × ${params.width} → ${params.first}…+${params.count}, ${params.bits} bits by ${params.group}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.width]),
        wte: quantized(2, params, params.width, params.count),
        y: uniform(3, [params.rows, params.vocabulary]),
      },
    })),
});
