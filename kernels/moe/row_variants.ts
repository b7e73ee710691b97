/** WGSL variants of the expert matrix products of single rows. */
import { ceilDiv, type Variant } from "../kernel.ts";
import { fitsRow, rowColumns, rowConstants } from "../matmul/matmul_variants.ts";
import down from "./down_row_forward.wgsl" with { type: "text" };
import downWide from "./down_row_forward_wide.wgsl" with { type: "text" };
import up from "./up_row_forward.wgsl" with { type: "text" };
import upWide from "./up_row_forward_wide.wgsl" with { type: "text" };

function variants(wide: string, elements: string): readonly Variant<"rows" | "inner" | "cols">[] {
  return [
    {
      name: "wide",
      code: wide,
      fits: fitsRow,
      constants: rowConstants,
      grid: (p) => [ceilDiv(p.cols, rowColumns), p.rows, 1],
    },
    { name: "elements", code: elements, grid: (p) => [ceilDiv(p.cols, 64), p.rows, 1] },
  ];
}

export const upRowVariants = variants(upWide, up);
export const downRowVariants = variants(downWide, down);
