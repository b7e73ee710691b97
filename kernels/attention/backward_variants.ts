/** WGSL variants of the two backward kernels of attention. */
import { ceilDiv, type Variant } from "../kernel.ts";
import keyRow from "./key_backward_row.wgsl" with { type: "text" };
import keySubgroup from "./key_backward_subgroup.wgsl" with { type: "text" };
import queryRow from "./query_backward_row.wgsl" with { type: "text" };
import querySubgroup from "./query_backward_subgroup.wgsl" with { type: "text" };

type Names = "rows" | "heads" | "head_size" | "time";

/** Rows of a subgroup. */
const inSubgroup = 4;

/** Workgroups for blocks of so many rows, none of which reaches into another sequence. */
const blocks =
  (rows: number) =>
  (p: Record<Names, number>): [number, number, number] => [p.heads, (p.rows / p.time) * ceilDiv(p.time, rows), 1];

function variants(subgroup: string, row: string): readonly Variant<Names>[] {
  return [
    {
      name: "subgroup",
      code: subgroup,
      fits: ({ software, subgroups }, p) =>
        software && subgroups?.min === 8 && subgroups.max === 8 && p.head_size <= 128 && p.head_size % 4 === 0,
      constants: (_, p) => ({ ROWS: inSubgroup, CHUNKS: ceilDiv(p.head_size, 32) }),
      grid: blocks(inSubgroup),
    },
    { name: "row", code: row, constants: (_, p) => ({ HEAD_SIZE: p.head_size }), grid: (p) => [p.heads, p.rows, 1] },
  ];
}

export const queryVariants = variants(querySubgroup, queryRow);
export const keyVariants = variants(keySubgroup, keyRow);
