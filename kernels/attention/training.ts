/** What the two backward kernels of attention share: one row's softmax in plain loops, and their test cases. */
import { uniform } from "../cases.ts";
import type { CaseTensor } from "../kernel.ts";

export interface TrainingParams {
  rows: number;
  heads: number;
  head_size: number;
  time: number;
  scale: number;
}

/** The keys [first, t] that row t sees, their probabilities in head h, and the logarithm of the softmax's total. */
export function attended(
  qkv: ArrayLike<number>,
  { heads, head_size: size, time, scale }: TrainingParams,
  t: number,
  h: number,
): { first: number; probabilities: number[]; log: number } {
  const width = heads * size;
  const first = t - (t % time);
  const scores = Array.from({ length: t - first + 1 }, (_, i) => {
    let sum = 0;
    for (let d = 0; d < size; d++)
      sum += qkv[t * 3 * width + h * size + d]! * qkv[(first + i) * 3 * width + width + h * size + d]!;
    return sum * scale;
  });
  const max = scores.reduce((a, b) => Math.max(a, b));
  const log = max + Math.log(scores.reduce((total, score) => total + Math.exp(score - max), 0));
  return { first, probabilities: scores.map((score) => Math.exp(score - log)), log };
}

/** Shapes with one row, odd lengths, several sequences; `y` is what attention makes of `qkv`. */
export function trainingCases(): {
  label: string;
  params: TrainingParams;
  qkv: CaseTensor;
  y: CaseTensor;
  dy: CaseTensor;
}[] {
  return [
    { rows: 1, heads: 1, head_size: 8, time: 1 },
    { rows: 66, heads: 3, head_size: 16, time: 33 },
    { rows: 130, heads: 2, head_size: 64, time: 65 },
    { rows: 131, heads: 1, head_size: 80, time: 131 },
  ].map((shape) => {
    const params = { ...shape, scale: 1 / Math.sqrt(shape.head_size) };
    const { rows, heads, head_size: size } = params;
    const width = heads * size;
    const qkv = uniform(1, [rows, 3 * width], 2);
    const y = uniform(2, [rows, width]);
    for (let t = 0; t < rows; t++)
      for (let h = 0; h < heads; h++) {
        const { first, probabilities } = attended(qkv.data, params, t, h);
        for (let d = 0; d < size; d++)
          y.data[t * width + h * size + d] = probabilities.reduce(
            (sum, p, i) => sum + p * qkv.data[(first + i) * 3 * width + 2 * width + h * size + d]!,
            0,
          );
      }
    return {
      label: `${rows / params.time} × ${params.time}, ${heads} heads of ${size}`,
      params,
      qkv,
      y,
      dy: uniform(3, [rows, width]),
    };
  });
}
