/** WGSL variants of the expert matrix products of single rows. */
import { ceilDiv, type Variant } from "../kernel.ts";
import down from "./down_row_forward.wgsl" with { type: "text" };
import up from "./up_row_forward.wgsl" with { type: "text" };

export const upRowVariants: readonly Variant<"rows" | "cols">[] = [
  { name: "elements", code: up, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
];

export const downRowVariants: readonly Variant<"rows" | "cols">[] = [
  { name: "elements", code: down, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
];
