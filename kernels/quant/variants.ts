/** WGSL variants of the products with quantized matrices. */
import { ceilDiv, type GpuTraits, type Variant } from "../kernel.ts";
import { broadcasts, hasTiles, inHalf } from "../matmul/matmul_variants.ts";
import { tiles } from "../moe/group_variants.ts";
import down from "./down_forward.wgsl" with { type: "text" };
import downSubgroup from "./down_forward_subgroup.wgsl" with { type: "text" };
import downTile from "./down_forward_tile.wgsl" with { type: "text" };
import downRow from "./down_row_forward.wgsl" with { type: "text" };
import downRowWide from "./down_row_forward_wide.wgsl" with { type: "text" };
import logits from "./logits_forward.wgsl" with { type: "text" };
import logitsRow from "./logits_forward_row.wgsl" with { type: "text" };
import logitsSubgroup from "./logits_forward_subgroup.wgsl" with { type: "text" };
import logitsTile from "./logits_forward_tile.wgsl" with { type: "text" };
import matmul from "./matmul_forward.wgsl" with { type: "text" };
import matmulRow from "./matmul_forward_row.wgsl" with { type: "text" };
import matmulSubgroup from "./matmul_forward_subgroup.wgsl" with { type: "text" };
import matmulTile from "./matmul_forward_tile.wgsl" with { type: "text" };
import up from "./up_forward.wgsl" with { type: "text" };
import upSubgroup from "./up_forward_subgroup.wgsl" with { type: "text" };
import upTile from "./up_forward_tile.wgsl" with { type: "text" };
import upRow from "./up_row_forward.wgsl" with { type: "text" };
import upRowWide from "./up_row_forward_wide.wgsl" with { type: "text" };

type Quant = "bits" | "group";
type Grouped = "rows" | "inner" | "cols" | "count" | Quant;

/** From so many rows on, it is faster that a weight is dequantized once for several of them; lavapipe: 1.07 × at 2, 2 × at 4. */
const manyRows = ({ software }: GpuTraits) => (software ? 2 : 5);

/** How a matrix is quantized is known as a shader is compiled: places and shifts of codes become constants. */
const constants = (_: GpuTraits, p: Record<Quant, number>) => ({ BITS: p.bits, GROUP: p.group });

/** What is read at a time: a line of 4 bits holds 8 rows, a vector 4 columns. */
const isWhole = (p: Record<"inner" | "cols", number>) => p.inner % 8 === 0 && p.cols % 4 === 0;

const isLarge = (gpu: GpuTraits, p: Record<"rows" | "inner" | "cols", number>) => p.rows >= manyRows(gpu) && isWhole(p);

/** On a GPU a workgroup has one panel and shares the inner axis; a CPU adapter has few cores to fill. */
const threads = ({ software }: GpuTraits) => (software ? { LANES: 8, SLICES: 1 } : { LANES: 4, SLICES: 32 });

const rowConstants = (gpu: GpuTraits, p: Record<Quant, number>) => ({ ...threads(gpu), ...constants(gpu, p) });

const rowGrid = (cols: number, rows: number, gpu: GpuTraits) =>
  [ceilDiv(cols, 4 * threads(gpu).LANES), rows, 1] as const;

function elements(code: string): Variant<"rows" | "cols"> {
  return { name: "elements", code, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] };
}

function rows(name: string, code: string): Variant<"rows" | "inner" | "cols" | Quant> {
  return {
    name,
    code,
    fits: (_, p) => isWhole(p),
    constants: rowConstants,
    grid: (p, gpu) => rowGrid(p.cols, p.rows, gpu),
  };
}

const matmulTiled: Variant<"rows" | "inner" | "cols" | Quant> = {
  name: "tile",
  code: matmulTile,
  fits: (gpu, p) => hasTiles(gpu) && isLarge(gpu, p),
  constants,
  grid: (p) => [ceilDiv(p.cols, 64), ceilDiv(p.rows, 64), 1],
};

export const matmulVariants: readonly Variant<"rows" | "inner" | "cols" | Quant>[] = [
  inHalf(matmulTiled),
  {
    name: "subgroup",
    code: matmulSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && isLarge(gpu, p),
    constants,
    grid: (p) => [ceilDiv(p.cols, 32), ceilDiv(p.rows, 32), 1],
  },
  matmulTiled,
  rows("row", matmulRow),
  elements(matmul),
];

function grouped(subgroup: string, tile: string, any: string): readonly Variant<Grouped>[] {
  const tiled: Variant<Grouped> = {
    name: "tile",
    code: tile,
    fits: (gpu, p) => hasTiles(gpu) && isWhole(p),
    constants,
    grid: tiles(64, 64),
  };
  return [
    inHalf(tiled),
    {
      name: "subgroup",
      code: subgroup,
      fits: (gpu, p) => broadcasts(gpu) && isWhole(p),
      constants,
      grid: tiles(32, 32),
    },
    tiled,
    elements(any),
  ];
}

export const upVariants = grouped(upSubgroup, upTile, up);
export const downVariants = grouped(downSubgroup, downTile, down);

export const upRowVariants = [rows("wide", upRowWide), elements(upRow)];
export const downRowVariants = [rows("wide", downRowWide), elements(downRow)];

const logitsTiled: Variant<"rows" | "width" | "count" | Quant> = {
  name: "tile",
  code: logitsTile,
  fits: (gpu, p) => hasTiles(gpu) && p.rows >= manyRows(gpu) && p.width % 8 === 0,
  constants,
  grid: (p) => [ceilDiv(p.count, 64), ceilDiv(p.rows, 64), 1],
};

export const logitsVariants: readonly Variant<"rows" | "width" | "count" | Quant>[] = [
  inHalf(logitsTiled),
  {
    name: "subgroup",
    code: logitsSubgroup,
    fits: (gpu, p) => broadcasts(gpu) && p.rows >= manyRows(gpu) && p.width % 8 === 0,
    constants,
    grid: (p) => [ceilDiv(p.count, 32), ceilDiv(p.rows, 32), 1],
  },
  logitsTiled,
  {
    name: "row",
    code: logitsRow,
    fits: (_, p) => p.width % 8 === 0,
    constants: rowConstants,
    grid: (p, gpu) => rowGrid(p.count, p.rows, gpu),
  },
  { name: "elements", code: logits, grid: (p) => [ceilDiv(p.count, 64), p.rows, 1] },
];
