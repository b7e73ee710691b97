/** WGSL variants of the expert matrix products over grouped rows. */
import { ceilDiv, type Variant } from "../kernel.ts";
import down from "./down_forward.wgsl" with { type: "text" };
import up from "./up_forward.wgsl" with { type: "text" };

export const upVariants: readonly Variant<"rows" | "cols">[] = [
  { name: "elements", code: up, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
];

export const downVariants: readonly Variant<"rows" | "cols">[] = [
  { name: "elements", code: down, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
];
