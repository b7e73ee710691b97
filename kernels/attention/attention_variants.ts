/** WGSL variants of attention. */
import type { Variant } from "../kernel.ts";
import row from "./attention_forward_row.wgsl" with { type: "text" };

export const attentionVariants: readonly Variant<"rows" | "heads" | "head_size">[] = [
  {
    name: "row",
    code: row,
    constants: (_, p) => ({ HEAD_SIZE: p.head_size }),
    grid: (p) => [p.heads, p.rows, 1],
  },
];
