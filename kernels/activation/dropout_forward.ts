/** Dropout by counted random numbers: the same mask on the way back, with nothing stored. At rate 0, a scaled copy. */
import { philox, unit } from "../../src/base/random.ts";
import { uniform } from "../cases.ts";
import { blockGrid, ceilDiv, defineKernel } from "../kernel.ts";
import code from "./dropout_forward.wgsl" with { type: "text" };

export const dropoutForward = defineKernel({
  name: "activation/dropout_forward",
  summary: "y = mask · scale · x / (1 − rate), or added to what is there",
  bindings: {
    x: { access: "in", type: "f32", shape: "[n]" },
    y: { access: "inout", type: "f32", shape: "[n]" },
  },
  /** Element i is kept where word i mod 4 of Philox(seed, [⌊i / 4⌋, stream, site, 0]) as a unit number is ≥ rate; add: 0 or 1. */
  params: {
    ...{ count: "u32", add: "u32", seed_low: "u32", seed_high: "u32", stream: "u32", site: "u32" },
    ...{ rate: "f32", scale: "f32" },
  },
  variants: [{ name: "elements", code, grid: (p) => blockGrid(ceilDiv(p.count, 256)) }],
  cost: (p) => ({ bytes: 8 * p.count + 4 * p.count * p.add, flops: 2 * p.count }),
  reference({ x, y }, { count, add, seed_low, seed_high, stream, site, rate, scale }) {
    for (let i = 0; i < count; i++) {
      const word = philox([seed_low, seed_high], [i >>> 2, stream, site, 0])[i % 4]!;
      const kept = unit(word) >= Math.fround(rate) ? (x[i]! * scale) / (1 - rate) : 0;
      y[i] = add ? y[i]! + kept : kept;
    }
  },
  cases: () =>
    [
      { count: 1, add: 0, rate: 0.5, scale: 1 },
      { count: 63, add: 1, rate: 0.1, scale: 0.25 },
      { count: 4099, add: 0, rate: 0.1, scale: 1 },
      { count: 70, add: 0, rate: 0, scale: 1 },
      { count: 70, add: 0, rate: 0, scale: 3 },
    ].map((some) => ({
      label: `${some.count}, rate ${some.rate}, by ${some.scale}${some.add ? ", add" : ""}`,
      params: { seed_low: 3, seed_high: 4, stream: 5, site: 6, ...some },
      tensors: { x: uniform(1, [some.count]), y: uniform(2, [some.count]) },
    })),
});
