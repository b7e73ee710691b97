/** WGSL variants of the expert matrix products over grouped rows. */
import { ceilDiv, type Variant } from "../kernel.ts";
import { fitsSubgroup, fitsTile, inHalf } from "../matmul/matmul_variants.ts";
import down from "./down_forward.wgsl" with { type: "text" };
import downSubgroup from "./down_forward_subgroup.wgsl" with { type: "text" };
import downTile from "./down_forward_tile.wgsl" with { type: "text" };
import up from "./up_forward.wgsl" with { type: "text" };
import upSubgroup from "./up_forward_subgroup.wgsl" with { type: "text" };
import upTile from "./up_forward_tile.wgsl" with { type: "text" };

type Names = "rows" | "inner" | "cols" | "count";

/** Workgroups for tiles of so many rows and columns: each expert may end in a tile that is not full. */
export const tiles =
  (rows: number, cols: number) =>
  (p: Record<Names, number>): [number, number, number] => [
    ceilDiv(p.cols, cols),
    Math.min(p.rows, ceilDiv(p.rows, rows) + p.count - 1),
    1,
  ];

function variants(subgroup: string, tile: string, elements: string): readonly Variant<Names>[] {
  const tiled: Variant<Names> = { name: "tile", code: tile, fits: fitsTile, grid: tiles(64, 64) };
  return [
    inHalf(tiled),
    { name: "subgroup", code: subgroup, fits: fitsSubgroup, grid: tiles(8, 32) },
    tiled,
    { name: "elements", code: elements, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
  ];
}

export const upVariants = variants(upSubgroup, upTile, up);
export const downVariants = variants(downSubgroup, downTile, down);
