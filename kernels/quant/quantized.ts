/** What the kernels on quantized matrices share: how their references read them, and what their cases are made of. */
import { dequantize, type Grouping, matrixWords, quantize } from "../../src/base/quant.ts";
import { uniform } from "../cases.ts";
import type { CaseTensor } from "../kernel.ts";

/** Parameters that say how a matrix is quantized. */
export const groupingParams = { bits: "u32", group: "u32" } as const;

type GroupingParams = Record<keyof typeof groupingParams, number>;

/** Bytes of a weight, with its share of scale and minimum. */
export function quantBytes({ bits, group }: GroupingParams): number {
  return bits / 8 + 4 / group;
}

/** Matrix `index` of those that lie one after the other: f32 [inner, cols], row-major. */
export function matrixOf(
  words: Uint32Array,
  { bits, group }: GroupingParams,
  inner: number,
  cols: number,
  index = 0,
): Float32Array {
  const grouping = { bits, group } as Grouping;
  const size = matrixWords(grouping, inner, cols);
  return dequantize(words.subarray(index * size, (index + 1) * size), grouping, inner, cols);
}

/** Words of so many matrices of uniform weights in ±1. */
export function quantized(
  seed: number,
  { bits, group }: GroupingParams,
  inner: number,
  cols: number,
  count = 1,
): CaseTensor {
  const grouping = { bits, group } as Grouping;
  const size = matrixWords(grouping, inner, cols);
  const data = new Uint32Array(count * size);
  for (let i = 0; i < count; i++) {
    const values = uniform(seed + 100 * i, [inner, cols]).data as Float32Array;
    data.set(quantize(values, grouping, inner, cols), i * size);
  }
  return { shape: [data.length], data };
}
