/** WGSL variants of the final logits, and of their way back. */
import { ceilDiv, type GpuTraits, type Variant } from "../kernel.ts";
import { broadcasts, hasTiles, inHalf } from "../matmul/matmul_variants.ts";
import backward from "./logits_backward.wgsl" with { type: "text" };
import backwardSubgroup from "./logits_backward_subgroup.wgsl" with { type: "text" };
import backwardTile from "./logits_backward_tile.wgsl" with { type: "text" };
import elements from "./logits_forward.wgsl" with { type: "text" };
import row from "./logits_forward_row.wgsl" with { type: "text" };
import tile from "./logits_forward_tile.wgsl" with { type: "text" };

/** A CPU adapter does best with the threads of one subgroup. */
const threads = ({ software }: GpuTraits) => (software ? { LANES: 8, GROUPS: 1 } : { LANES: 32, GROUPS: 2 });

/** Rows of x that a weight serves, for a largest count of rows. */
const together = (rows: number) => Math.min(rows, 4);

/** Half a tile: training and the likelihood of texts have more rows, generation has one. */
const manyRows = 32;

const tiled: Variant<"rows" | "width" | "count"> = {
  name: "tile",
  code: tile,
  fits: (gpu, p) => hasTiles(gpu) && p.rows >= manyRows && p.width % 8 === 0,
  grid: (p) => [ceilDiv(p.count, 64), ceilDiv(p.rows, 64), 1],
};

export const logitsVariants: readonly Variant<"rows" | "width" | "count">[] = [
  inHalf(tiled),
  tiled,
  {
    name: "row",
    code: row,
    fits: (_, p) => p.width % 8 === 0,
    constants: (gpu, p) => ({ ...threads(gpu), ROWS: together(p.rows) }),
    // Actual rows are at most the largest, so these workgroups are never too few.
    grid: (p, gpu) => [ceilDiv(p.count, 8 * threads(gpu).GROUPS), ceilDiv(p.rows, together(p.rows)), 1],
  },
  { name: "elements", code: elements, grid: (p) => [ceilDiv(p.count, 64), p.rows, 1] },
];

const backwardTiled: Variant<"rows" | "width" | "vocabulary" | "first" | "count"> = {
  name: "tile",
  code: backwardTile,
  fits: (gpu, p) => hasTiles(gpu) && p.width % 8 === 0,
  grid: (p) => [ceilDiv(p.width, 64), ceilDiv(p.rows, 64), 1],
};

export const logitsBackwardVariants: readonly Variant<"rows" | "width" | "vocabulary" | "first" | "count">[] = [
  inHalf(backwardTiled),
  {
    name: "subgroup",
    code: backwardSubgroup,
    fits: (gpu, p) =>
      broadcasts(gpu) && p.width % 8 === 0 && p.vocabulary % 4 === 0 && p.first % 4 === 0 && p.count % 4 === 0,
    grid: (p) => [ceilDiv(p.width, 32), ceilDiv(p.rows, 64), 1],
  },
  backwardTiled,
  { name: "elements", code: backward, grid: (p) => [ceilDiv(p.width, 64), p.rows, 1] },
];
