/** WGSL variants of the final logits. */
import { ceilDiv, type Variant } from "../kernel.ts";
import elements from "./logits_forward.wgsl" with { type: "text" };

export const logitsVariants: readonly Variant<"rows" | "count">[] = [
  { name: "elements", code: elements, grid: (p) => [ceilDiv(p.count, 64), p.rows, 1] },
];
