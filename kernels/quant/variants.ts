/** WGSL variants of the products with quantized matrices. */
import { ceilDiv, type Variant } from "../kernel.ts";
import down from "./down_forward.wgsl" with { type: "text" };
import downRow from "./down_row_forward.wgsl" with { type: "text" };
import logits from "./logits_forward.wgsl" with { type: "text" };
import matmul from "./matmul_forward.wgsl" with { type: "text" };
import up from "./up_forward.wgsl" with { type: "text" };
import upRow from "./up_row_forward.wgsl" with { type: "text" };

function elements(code: string): Variant<"rows" | "cols"> {
  return { name: "elements", code, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] };
}

export const matmulVariants: readonly Variant<"rows" | "cols">[] = [elements(matmul)];
export const upVariants: readonly Variant<"rows" | "cols">[] = [elements(up)];
export const downVariants: readonly Variant<"rows" | "cols">[] = [elements(down)];
export const upRowVariants: readonly Variant<"rows" | "cols">[] = [elements(upRow)];
export const downRowVariants: readonly Variant<"rows" | "cols">[] = [elements(downRow)];
export const logitsVariants: readonly Variant<"rows" | "count">[] = [
  { name: "elements", code: logits, grid: (p) => [ceilDiv(p.count, 64), p.rows, 1] },
];
