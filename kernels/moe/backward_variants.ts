/** WGSL variants of the gradients of the expert matrix products. */
import { ceilDiv, type Variant } from "../kernel.ts";
import input from "./input_backward.wgsl" with { type: "text" };
import weight from "./weight_backward.wgsl" with { type: "text" };

type Names = "rows" | "inner" | "cols" | "count";

export const inputVariants: readonly Variant<Names>[] = [
  { name: "elements", code: input, grid: (p) => [ceilDiv(p.inner, 64), p.rows, 1] },
];

export const weightVariants: readonly Variant<Names>[] = [
  { name: "elements", code: weight, grid: (p) => [ceilDiv(p.cols, 64), p.inner + 1, p.count] },
];
