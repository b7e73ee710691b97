/** WGSL variants of attention. */
import { ceilDiv, type Variant } from "../kernel.ts";
import row from "./attention_forward_row.wgsl" with { type: "text" };
import subgroup from "./attention_forward_subgroup.wgsl" with { type: "text" };

/** Rows of a workgroup of the subgroup variant. */
const subgroupRows = (largest: number) => (largest === 1 ? 1 : 8);

export const attentionVariants: readonly Variant<"rows" | "heads" | "head_size">[] = [
  {
    name: "subgroup",
    code: subgroup,
    fits: ({ software, subgroups }, p) =>
      software && subgroups?.min === 8 && subgroups.max === 8 && p.head_size <= 128 && p.head_size % 4 === 0,
    constants: (_, p) => ({ ROWS: subgroupRows(p.rows), CHUNKS: ceilDiv(p.head_size, 32) }),
    grid: (p) => [p.heads, ceilDiv(p.rows, subgroupRows(p.rows)), 1],
  },
  {
    name: "row",
    code: row,
    constants: (_, p) => ({ HEAD_SIZE: p.head_size }),
    grid: (p) => [p.heads, p.rows, 1],
  },
];
