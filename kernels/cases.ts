/** Seeded contents for the test cases of kernels. */
import { philox, unit } from "../src/base/random.ts";
import type { CaseTensor } from "./kernel.ts";

const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

/** Uniform in ±scale, f32, of the given shape. */
export function uniform(seed: number, shape: number[], scale = 1): CaseTensor {
  const data = new Float32Array(size(shape));
  for (let i = 0; i < data.length; i++) data[i] = (2 * unit(philox([seed, 0], [i, 0, 0, 0])[0]) - 1) * scale;
  return { shape, data };
}

/** Uniform integers below `bound`. */
export function integers(seed: number, shape: number[], bound: number): CaseTensor {
  const data = new Uint32Array(size(shape));
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(unit(philox([seed, 1], [i, 0, 0, 0])[0]) * bound);
  return { shape, data };
}

/** Given integers. */
export function listed(values: Iterable<number>, shape?: number[]): CaseTensor {
  const data = Uint32Array.from(values);
  return { shape: shape ?? [data.length], data };
}

/** Zeros, f32. */
export function zeros(shape: number[]): CaseTensor {
  return { shape, data: new Float32Array(size(shape)) };
}

/** Zeros, u32. */
export function blank(shape: number[]): CaseTensor {
  return { shape, data: new Uint32Array(size(shape)) };
}

/** Rows sorted by (expert, row) and where each expert starts: what `moe/order_forward` computes. */
export function grouped(expert: ArrayLike<number>, experts: number): { order: CaseTensor; start: CaseTensor } {
  const rows = Array.from(expert, (_, t) => t).sort((a, b) => expert[a]! - expert[b]! || a - b);
  const start = Array.from({ length: experts + 1 }, (_, e) => rows.filter((t) => expert[t]! < e).length);
  return { order: listed(rows), start: listed(start) };
}
