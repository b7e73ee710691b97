/** WGSL variants of the gradients of the expert matrix products. */
import { ceilDiv, type Variant } from "../kernel.ts";
import { broadcasts, hasTiles, inHalf } from "../matmul/matmul_variants.ts";
import { tiles } from "./group_variants.ts";
import input from "./input_backward.wgsl" with { type: "text" };
import inputSubgroup from "./input_backward_subgroup.wgsl" with { type: "text" };
import inputTile from "./input_backward_tile.wgsl" with { type: "text" };
import weight from "./weight_backward.wgsl" with { type: "text" };
import weightSubgroup from "./weight_backward_subgroup.wgsl" with { type: "text" };
import weightTile from "./weight_backward_tile.wgsl" with { type: "text" };

type Names = "rows" | "inner" | "cols" | "count";

/** Tiles of the input's gradient, which has `inner` columns. */
const inputTiles = (rows: number, cols: number) => (p: Record<Names, number>) =>
  tiles(rows, cols)({ ...p, cols: p.inner });

const weightTiles = (rows: number, cols: number) => (p: Record<Names, number>) =>
  [ceilDiv(p.cols, cols), ceilDiv(p.inner, rows), p.count] as const;

const inputTiled: Variant<Names> = {
  name: "tile",
  code: inputTile,
  fits: (gpu, p) => hasTiles(gpu) && p.inner % 4 === 0 && p.cols % 8 === 0,
  grid: inputTiles(64, 64),
};

export const inputVariants: readonly Variant<Names>[] = [
  inHalf(inputTiled),
  {
    name: "subgroup",
    code: inputSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && p.inner % 4 === 0 && p.cols % 8 === 0,
    grid: inputTiles(64, 32),
  },
  inputTiled,
  { name: "elements", code: input, grid: (p) => [ceilDiv(p.inner, 64), p.rows, 1] },
];

const weightTiled: Variant<Names> = {
  name: "tile",
  code: weightTile,
  fits: (gpu, p) => hasTiles(gpu) && p.inner % 4 === 0 && p.cols % 4 === 0,
  grid: weightTiles(64, 64),
};

export const weightVariants: readonly Variant<Names>[] = [
  inHalf(weightTiled),
  {
    name: "subgroup",
    code: weightSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && p.inner % 4 === 0 && p.cols % 4 === 0,
    grid: weightTiles(64, 32),
  },
  weightTiled,
  { name: "elements", code: weight, grid: (p) => [ceilDiv(p.cols, 64), p.inner + 1, p.count] },
];
