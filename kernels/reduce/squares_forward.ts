/** Sums of squares and counts of what is not finite, block by block: what the gradient's norm is made of. */
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./squares_forward.wgsl" with { type: "text" };

/** Elements of one block, whose sum is one pair of numbers. */
export const squaresBlock = 16_384;

export const squaresForward = defineKernel({
  name: "reduce/squares_forward",
  summary: "sums[at + i] = Σ x² over the finite elements of block i, and how many elements are not finite",
  bindings: {
    x: { access: "in", type: "f32", shape: "[n]" },
    sums: { access: "inout", type: "f32", shape: "[blocks, 2]" },
  },
  /** at: the first of ⌈count / 16384⌉ blocks. A square that overflows leaves an infinite sum. */
  params: { count: "u32", at: "u32" },
  variants: [
    {
      name: "block",
      code,
      constants: (gpu) => ({ THREADS: gpu.software ? 8 : 256 }),
      grid: (p) => [ceilDiv(p.count, squaresBlock), 1, 1],
    },
  ],
  cost: (p) => ({ bytes: 4 * p.count, flops: 2 * p.count }),
  reference({ x, sums }, { count, at }) {
    for (let block = 0; block < ceilDiv(count, squaresBlock); block++) {
      let [sum, bad] = [0, 0];
      for (let i = block * squaresBlock; i < Math.min(count, (block + 1) * squaresBlock); i++)
        if (Number.isFinite(x[i]!)) sum += x[i]! * x[i]!;
        else bad++;
      sums[2 * (at + block)] = sum;
      sums[2 * (at + block) + 1] = bad;
    }
  },
  cases: () =>
    [
      { count: 1, at: 0, bad: [] as number[] },
      { count: 63, at: 3, bad: [5, 62] },
      { count: 16_385, at: 0, bad: [16_384] },
      { count: 40_000, at: 1, bad: [0, 20_000, 20_001, 39_999] },
    ].map(({ count, at, bad }) => {
      const x = uniform(1, [count]);
      for (const [i, place] of bad.entries()) x.data[place] = [Number.NaN, Infinity, -Infinity][i % 3]!;
      return {
        label: `${count}, ${bad.length} not finite`,
        params: { count, at },
        tensors: { x, sums: uniform(2, [at + ceilDiv(count, squaresBlock), 2]) },
      };
    }),
});
