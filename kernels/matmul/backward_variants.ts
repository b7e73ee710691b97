/** WGSL variants of the gradients of matrix products. */
import { ceilDiv, type Variant } from "../kernel.ts";
import input from "./input_backward.wgsl" with { type: "text" };
import inputSubgroup from "./input_backward_subgroup.wgsl" with { type: "text" };
import inputTile from "./input_backward_tile.wgsl" with { type: "text" };
import { broadcasts, hasTiles, inHalf } from "./matmul_variants.ts";
import table from "./table_backward.wgsl" with { type: "text" };
import tableSubgroup from "./table_backward_subgroup.wgsl" with { type: "text" };
import tableTile from "./table_backward_tile.wgsl" with { type: "text" };
import weight from "./weight_backward.wgsl" with { type: "text" };
import weightSubgroup from "./weight_backward_subgroup.wgsl" with { type: "text" };
import weightTile from "./weight_backward_tile.wgsl" with { type: "text" };

const inputTiled: Variant<"rows" | "inner" | "cols"> = {
  name: "tile",
  code: inputTile,
  fits: (gpu, p) => hasTiles(gpu) && p.inner % 4 === 0 && p.cols % 8 === 0,
  grid: (p) => [ceilDiv(p.inner, 64), ceilDiv(p.rows, 64), 1],
};

export const inputVariants: readonly Variant<"rows" | "inner" | "cols">[] = [
  inHalf(inputTiled),
  {
    name: "subgroup",
    code: inputSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && p.inner % 4 === 0 && p.cols % 8 === 0,
    grid: (p) => [ceilDiv(p.inner, 32), ceilDiv(p.rows, 64), 1],
  },
  inputTiled,
  { name: "elements", code: input, grid: (p) => [ceilDiv(p.inner, 64), p.rows, 1] },
];

const weightTiled: Variant<"rows" | "inner" | "cols"> = {
  name: "tile",
  code: weightTile,
  fits: (gpu, p) => hasTiles(gpu) && p.inner % 4 === 0 && p.cols % 4 === 0,
  grid: (p) => [ceilDiv(p.cols, 64), ceilDiv(p.inner, 64), 1],
};

export const weightVariants: readonly Variant<"rows" | "inner" | "cols">[] = [
  inHalf(weightTiled),
  {
    name: "subgroup",
    code: weightSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && p.inner % 4 === 0 && p.cols % 4 === 0,
    grid: (p) => [ceilDiv(p.cols, 32), ceilDiv(p.inner, 64), 1],
  },
  weightTiled,
  { name: "elements", code: weight, grid: (p) => [ceilDiv(p.cols, 64), p.inner + 1, 1] },
];

const tableTiled: Variant<"rows" | "width" | "cols" | "first" | "count"> = {
  name: "tile",
  code: tableTile,
  fits: (gpu, p) => hasTiles(gpu) && p.width % 4 === 0,
  grid: (p) => [ceilDiv(p.width, 64), ceilDiv(p.count, 64), 1],
};

export const tableVariants: readonly Variant<"rows" | "width" | "cols" | "first" | "count">[] = [
  inHalf(tableTiled),
  {
    name: "subgroup",
    code: tableSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && p.width % 4 === 0 && p.cols % 4 === 0 && p.first % 4 === 0,
    grid: (p) => [ceilDiv(p.width, 32), ceilDiv(p.count, 64), 1],
  },
  tableTiled,
  // A vocabulary may have more rows than a grid.
  { name: "elements", code: table, grid: (p) => [ceilDiv(p.count, 64), p.width, 1] },
];
