/** WGSL variants of the final logits. */
import { ceilDiv, type GpuTraits, type Variant } from "../kernel.ts";
import elements from "./logits_forward.wgsl" with { type: "text" };
import row from "./logits_forward_row.wgsl" with { type: "text" };

/** A CPU adapter does best with the threads of one subgroup. */
const shape = ({ software }: GpuTraits) => (software ? { LANES: 8, GROUPS: 1 } : { LANES: 32, GROUPS: 4 });

export const logitsVariants: readonly Variant<"rows" | "width" | "count">[] = [
  {
    name: "row",
    code: row,
    fits: (_, p) => p.width % 8 === 0,
    constants: shape,
    grid: (p, gpu) => [ceilDiv(p.count, 8 * shape(gpu).GROUPS), p.rows, 1],
  },
  { name: "elements", code: elements, grid: (p) => [ceilDiv(p.count, 64), p.rows, 1] },
];
