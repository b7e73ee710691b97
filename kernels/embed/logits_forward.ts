/** Final logits over one part of the tied embedding (spec §1.2 step 3). */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { logitsVariants } from "./logits_variants.ts";

export const logitsForward = defineKernel({
  name: "embed/logits_forward",
  summary: "y[t, first + i] = x[t] · wte[i] for the rows i of this part of wte",
  bindings: {
    x: { access: "in", type: "f32", shape: "[T, C]" },
    wte: { access: "in", type: "table", shape: "[V part, C]" },
    y: { access: "inout", type: "f32", shape: "[T, V]" },
  },
  /** vocabulary: columns of y; first, count: the columns that this part of wte gives. */
  params: { rows: "u32", width: "u32", vocabulary: "u32", first: "u32", count: "u32" },
  variants: logitsVariants,
  cost: (p, weightBytes) => ({
    bytes: p.count * p.width * weightBytes + 4 * p.rows * (p.width + p.count),
    flops: 2 * p.rows * p.count * p.width,
  }),
  reference({ x, wte, y }, { rows, width, vocabulary, first, count }) {
    for (let t = 0; t < rows; t++)
      for (let v = 0; v < count; v++) {
        let sum = 0;
        for (let c = 0; c < width; c++) sum += x[t * width + c]! * wte[v * width + c]!;
        y[t * vocabulary + first + v] = sum;
      }
  },
  cases: () =>
    [
      { rows: 1, width: 32, vocabulary: 1024, first: 0, count: 1024 },
      { rows: 1, width: 63, vocabulary: 131, first: 64, count: 67 },
      { rows: 17, width: 64, vocabulary: 129, first: 0, count: 129 },
      { rows: 70, width: 72, vocabulary: 200, first: 3, count: 131 },
      { rows: 65, width: 127, vocabulary: 65, first: 1, count: 63 },
    ].map((params) => ({
      label: `${params.rows} × ${params.width} → ${params.first}…+${params.count}`,
      params,
      tensors: {
        x: uniform(1, [params.rows, params.width]),
        wte: uniform(2, [params.count, params.width]),
        y: uniform(3, [params.rows, params.vocabulary]),
      },
    })),
});
