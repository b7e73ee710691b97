/** Gradient of the final hidden states through one part of the tied embedding. */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { logitsBackwardVariants } from "./logits_variants.ts";

export const logitsBackward = defineKernel({
  name: "embed/logits_backward",
  summary: "dx[at + t] = Σ dy[t, first + i] · wte[i], or added to what is there, over the rows i of this part of wte",
  bindings: {
    dy: { access: "in", type: "f32", shape: "[T, V]" },
    wte: { access: "in", type: "table", shape: "[V part, C]" },
    dx: { access: "inout", type: "f32", shape: "[at + T, C]" },
  },
  /** vocabulary: columns of dy; first, count: those that this part of wte holds; add: 0 or 1. */
  params: { rows: "u32", width: "u32", vocabulary: "u32", first: "u32", count: "u32", at: "u32", add: "u32" },
  variants: logitsBackwardVariants,
  cost: (p, weightBytes) => ({
    bytes: p.count * p.width * weightBytes + 4 * p.rows * (p.width * (1 + p.add) + p.count),
    flops: 2 * p.rows * p.count * p.width,
  }),
  reference({ dy, wte, dx }, { rows, width, vocabulary, first, count, at, add }) {
    for (let t = 0; t < rows; t++)
      for (let c = 0; c < width; c++) {
        let sum = add ? dx[(at + t) * width + c]! : 0;
        for (let v = 0; v < count; v++) sum += dy[t * vocabulary + first + v]! * wte[v * width + c]!;
        dx[(at + t) * width + c] = sum;
      }
  },
  cases: () =>
    [
      { rows: 1, width: 32, vocabulary: 1024, first: 0, count: 1024, at: 0, add: 0 },
      { rows: 65, width: 63, vocabulary: 131, first: 64, count: 67, at: 3, add: 1 },
      { rows: 64, width: 64, vocabulary: 256, first: 64, count: 132, at: 64, add: 0 },
      { rows: 17, width: 131, vocabulary: 65, first: 1, count: 63, at: 0, add: 0 },
    ].map((params) => ({
      label: `${params.rows} rows, ${params.first}…+${params.count} of ${params.vocabulary} × ${params.width}${params.add ? " add" : ""}`,
      params,
      tensors: {
        dy: uniform(1, [params.rows, params.vocabulary]),
        wte: uniform(2, [params.count, params.width]),
        dx: uniform(3, [params.at + params.rows, params.width]),
      },
    })),
});
