/** WGSL variants of attention. */
import { ceilDiv, type Variant } from "../kernel.ts";
import compactRow from "./attention_compact_forward_row.wgsl" with { type: "text" };
import compactSubgroup from "./attention_compact_forward_subgroup.wgsl" with { type: "text" };
import compactTile from "./attention_compact_forward_tile.wgsl" with { type: "text" };
import row from "./attention_forward_row.wgsl" with { type: "text" };
import subgroup from "./attention_forward_subgroup.wgsl" with { type: "text" };
import tile from "./attention_forward_tile.wgsl" with { type: "text" };

/** Rows of a workgroup, for a largest count of rows: 8 in a subgroup are 4 % faster and take twice as long to compile. */
const inSubgroup = (rows: number) => (rows === 1 ? 1 : 4);
const inTile = (rows: number) => (rows === 1 ? 1 : 8);

/** Threads of the variant for tiles. */
const tileThreads = 128;

type Shape = "rows" | "heads" | "head_size";

const subgroups: Variant<Shape> = {
  name: "subgroup",
  code: subgroup,
  fits: ({ software, subgroups }, p) =>
    software && subgroups?.min === 8 && subgroups.max === 8 && p.head_size <= 128 && p.head_size % 4 === 0,
  constants: (_, p) => ({ ROWS: inSubgroup(p.rows), CHUNKS: ceilDiv(p.head_size, 32) }),
  grid: (p) => [p.heads, ceilDiv(p.rows, inSubgroup(p.rows)), 1],
};

const tiles: Variant<Shape> = {
  name: "tile",
  code: tile,
  fits: ({ software, maxWorkgroupSize, maxWorkgroupBytes }, p) =>
    !software &&
    maxWorkgroupSize >= tileThreads &&
    p.head_size % 4 === 0 &&
    p.head_size <= 4 * tileThreads &&
    4 * inTile(p.rows) * (p.head_size + tileThreads + 2) + 4 * tileThreads <= maxWorkgroupBytes,
  constants: (_, p) => ({ ROWS: inTile(p.rows), QUADS: p.head_size / 4 }),
  grid: (p) => [p.heads, ceilDiv(p.rows, inTile(p.rows)), 1],
};

const rows: Variant<Shape> = {
  name: "row",
  code: row,
  constants: (_, p) => ({ HEAD_SIZE: p.head_size }),
  grid: (p) => [p.heads, p.rows, 1],
};

export const attentionVariants = [subgroups, tiles, rows];

/** The same over a compact cache: how many bits a channel has is known as a shader is compiled. */
function compact(variant: Variant<Shape>, code: string): Variant<Shape | "bits"> {
  return { ...variant, code, constants: (gpu, p) => ({ ...variant.constants?.(gpu, p), BITS: p.bits }) };
}

export const attentionCompactVariants = [
  compact(subgroups, compactSubgroup),
  compact(tiles, compactTile),
  compact(rows, compactRow),
];
