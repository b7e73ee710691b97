/** WGSL variants of the matrix product, and how variants of its kin choose. */
import { ceilDiv, type GpuTraits, type Variant } from "../kernel.ts";
import elements from "./matmul_forward.wgsl" with { type: "text" };
import block from "./matmul_forward_block.wgsl" with { type: "text" };
import row from "./matmul_forward_row.wgsl" with { type: "text" };
import subgroup from "./matmul_forward_subgroup.wgsl" with { type: "text" };
import tile from "./matmul_forward_tile.wgsl" with { type: "text" };

type Shape = Record<"inner" | "cols", number>;

/** From this many rows on, a weight that is loaded serves several of them. */
const manyRows = 5;

/** Rows of a block on a CPU adapter; where not even half of it is full, smaller ones do better. */
const blockRows = 64;

/** CPU adapters do best without workgroup memory, by broadcasts within subgroups of 8. */
export function broadcasts({ software, subgroups }: GpuTraits): boolean {
  return software && subgroups?.min === 8 && subgroups.max === 8;
}

export function fitsSubgroup(gpu: GpuTraits, { inner, cols }: Shape): boolean {
  return broadcasts(gpu) && inner % 8 === 0 && cols % 8 === 0;
}

/** GPUs share what they load through workgroup memory, in workgroups of 128. */
export function hasTiles({ software, maxWorkgroupSize }: GpuTraits): boolean {
  return !software && maxWorkgroupSize >= 128;
}

/** The line of a tile kernel that says what it multiplies, and what stands there to multiply f16. */
const [whole, half] = [
  "alias part = vec4f; const HALF = false;",
  "enable f16; alias part = vec4h; const HALF = true;",
] as const;

/**
 * A variant of tiles, with the same text in f16: operands are rounded as they come into workgroup memory, and 16 products
 * are summed before the sum is added to others in f32. Taken wherever f16 is asked for, by CPU adapters too.
 */
export function inHalf<P extends string>(tile: Variant<P>): Variant<P> {
  return {
    ...tile,
    name: `${tile.name} in f16`,
    code: tile.code.replace(whole, half),
    fits: (gpu, p) => gpu.half && (tile.fits?.({ ...gpu, software: false }, p) ?? true),
  };
}

export function fitsTile(gpu: GpuTraits, { inner, cols }: Shape): boolean {
  return hasTiles(gpu) && inner % 4 === 0 && cols % 8 === 0;
}

/** Rows that are multiplied one by one. */
export function fitsRow(_: GpuTraits, { inner, cols }: Shape): boolean {
  return inner % 4 === 0 && cols % 8 === 0;
}

/** A GPU needs many threads for one row, so they share the inner axis; a CPU adapter has few cores to fill. */
export function rowConstants({ software }: GpuTraits): { LANES: number; SLICES: number } {
  return software ? { LANES: 8, SLICES: 1 } : { LANES: 8, SLICES: 16 };
}

/** Columns of a workgroup of the variant for rows. */
export const rowColumns = 64;

const tiled: Variant<"rows" | "inner" | "cols"> = {
  name: "tile",
  code: tile,
  fits: fitsTile,
  grid: (p) => [ceilDiv(p.cols, 64), ceilDiv(p.rows, 64), 1],
};

export const matmulVariants: readonly Variant<"rows" | "inner" | "cols">[] = [
  {
    name: "row",
    code: row,
    fits: (gpu, p) => p.rows < manyRows && fitsRow(gpu, p),
    constants: rowConstants,
    grid: (p) => [ceilDiv(p.cols, rowColumns), p.rows, 1],
  },
  inHalf(tiled),
  {
    name: "block",
    code: block,
    fits: (gpu, p) => 2 * p.rows >= blockRows && fitsSubgroup(gpu, p),
    grid: (p) => [ceilDiv(p.cols, 32), ceilDiv(p.rows, blockRows), 1],
  },
  { name: "subgroup", code: subgroup, fits: fitsSubgroup, grid: (p) => [ceilDiv(p.cols, 32), ceilDiv(p.rows, 8), 1] },
  tiled,
  { name: "elements", code: elements, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
];
