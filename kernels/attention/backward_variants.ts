/** WGSL variants of the two backward kernels of attention. */
import { ceilDiv, type Variant } from "../kernel.ts";
import keyRow from "./key_backward_row.wgsl" with { type: "text" };
import keySubgroup from "./key_backward_subgroup.wgsl" with { type: "text" };
import keyTile from "./key_backward_tile.wgsl" with { type: "text" };
import queryRow from "./query_backward_row.wgsl" with { type: "text" };
import querySubgroup from "./query_backward_subgroup.wgsl" with { type: "text" };
import queryTile from "./query_backward_tile.wgsl" with { type: "text" };

type Names = "rows" | "heads" | "head_size" | "time";

/** Rows of a subgroup: fewer share their loads among too few. */
const inSubgroup = 4;

/** Rows and threads of a tile. */
const inTile = 8;
const tileThreads = 128;

/** Workgroups for blocks of so many rows, none of which reaches into another sequence. */
const blocks =
  (rows: number) =>
  (p: Record<Names, number>): [number, number, number] => [p.heads, (p.rows / p.time) * ceilDiv(p.time, rows), 1];

/** @param floats that a tile keeps in workgroup memory, besides two times its rows of a head */
function variants(subgroup: string, tile: string, row: string, floats: number): readonly Variant<Names>[] {
  return [
    {
      name: "subgroup",
      code: subgroup,
      fits: ({ software, subgroups }, p) =>
        software && subgroups?.min === 8 && subgroups.max === 8 && p.head_size <= 128 && p.head_size % 4 === 0,
      constants: (_, p) => ({ ROWS: inSubgroup, CHUNKS: ceilDiv(p.head_size, 32) }),
      grid: blocks(inSubgroup),
    },
    {
      name: "tile",
      code: tile,
      fits: ({ software, maxWorkgroupSize, maxWorkgroupBytes }, p) =>
        !software &&
        maxWorkgroupSize >= tileThreads &&
        p.head_size % 4 === 0 &&
        p.head_size <= 4 * tileThreads &&
        4 * (2 * inTile * p.head_size + floats) <= maxWorkgroupBytes,
      constants: (_, p) => ({ QUADS: p.head_size / 4 }),
      grid: blocks(inTile),
    },
    { name: "row", code: row, constants: (_, p) => ({ HEAD_SIZE: p.head_size }), grid: (p) => [p.heads, p.rows, 1] },
  ];
}

export const queryVariants = variants(
  querySubgroup,
  queryTile,
  queryRow,
  inTile * tileThreads + tileThreads + 4 * inTile,
);
export const keyVariants = variants(keySubgroup, keyTile, keyRow, 2 * inTile * tileThreads);
