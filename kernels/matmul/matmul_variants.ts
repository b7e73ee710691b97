/** WGSL variants of the matrix product. */
import { ceilDiv, type Variant } from "../kernel.ts";
import elements from "./matmul_forward.wgsl" with { type: "text" };

export const matmulVariants: readonly Variant<"rows" | "cols">[] = [
  { name: "elements", code: elements, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
];
