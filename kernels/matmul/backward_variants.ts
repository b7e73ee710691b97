/** WGSL variants of the gradients of matrix products. */
import { ceilDiv, type Variant } from "../kernel.ts";
import input from "./input_backward.wgsl" with { type: "text" };
import table from "./table_backward.wgsl" with { type: "text" };
import weight from "./weight_backward.wgsl" with { type: "text" };

export const inputVariants: readonly Variant<"rows" | "inner" | "cols">[] = [
  { name: "elements", code: input, grid: (p) => [ceilDiv(p.inner, 64), p.rows, 1] },
];

export const weightVariants: readonly Variant<"rows" | "inner" | "cols">[] = [
  { name: "elements", code: weight, grid: (p) => [ceilDiv(p.cols, 64), p.inner + 1, 1] },
];

export const tableVariants: readonly Variant<"rows" | "width" | "count">[] = [
  { name: "elements", code: table, grid: (p) => [ceilDiv(p.width, 64), p.count, 1] },
];
