/** Gradient of a table [N, C] that is multiplied row by row: the tied embedding as head, and the router's gate. */
import { uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { tableVariants } from "./backward_variants.ts";

export const tableBackward = defineKernel({
  name: "matmul/table_backward",
  summary: "dw[i] = Σ dy[t, first + i] · x[t], or added to what is there, for the rows i of this part of the table",
  bindings: {
    dy: { access: "in", type: "f32", shape: "[T, N]" },
    x: { access: "in", type: "f32", shape: "[T, C]" },
    dw: { access: "inout", type: "f32", shape: "[N part, C]" },
  },
  /** cols: N; first, count: the columns of dy that belong to this part; at: the row of x that the first row of dy belongs to; add: 0 or 1. */
  params: { rows: "u32", width: "u32", cols: "u32", first: "u32", count: "u32", at: "u32", add: "u32" },
  variants: tableVariants,
  cost: (p) => ({
    bytes: 4 * (p.rows * (p.width + p.count) + p.count * p.width * (1 + p.add)),
    flops: 2 * p.rows * p.count * p.width,
  }),
  reference({ dy, x, dw }, { rows, width, cols, first, count, at, add }) {
    for (let i = 0; i < count; i++)
      for (let c = 0; c < width; c++) {
        let sum = add ? dw[i * width + c]! : 0;
        for (let t = 0; t < rows; t++) sum += dy[t * cols + first + i]! * x[(at + t) * width + c]!;
        dw[i * width + c] = sum;
      }
  },
  cases: () =>
    [
      { rows: 1, width: 32, cols: 16, first: 0, count: 16, at: 0, add: 0 },
      { rows: 65, width: 63, cols: 131, first: 64, count: 67, at: 3, add: 1 },
      { rows: 64, width: 64, cols: 256, first: 64, count: 132, at: 64, add: 1 },
      { rows: 300, width: 131, cols: 65, first: 1, count: 63, at: 0, add: 0 },
    ].map((params) => ({
      label: `${params.rows} rows, ${params.first}…+${params.count} of ${params.cols} × ${params.width}${params.add ? " add" : ""}`,
      params,
      tensors: {
        dy: uniform(1, [params.rows, params.cols]),
        x: uniform(2, [params.at + params.rows, params.width]),
        dw: uniform(3, [params.count, params.width], 10),
      },
    })),
});
