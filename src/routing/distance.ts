/** Distances between languages by their routing, and what every test does with a matrix of distances. */
import type { Vectors } from "./vectors.ts";

/** Of n things: [n · n], symmetric, 0 on the diagonal; NaN where two cannot be compared. */
export interface Distances {
  size: number;
  values: Float64Array;
}

/** Fills both halves of a matrix. @param between of two different things, the first index the larger */
export function distances(size: number, between: (a: number, b: number) => number): Distances {
  const values = new Float64Array(size * size);
  for (let a = 0; a < size; a++)
    for (let b = 0; b < a; b++) values[a * size + b] = values[b * size + a] = between(a, b);
  return { size, values };
}

export const metrics = ["js", "l1", "cosine"] as const;
/**
 * `js`: Jensen–Shannon distance, the root of the divergence in bits, 0 … 1; of several layers, the root of their mean
 * divergence. `l1`: half of the sum of differences, mean over layers, 0 … 1. `cosine`: 1 − cosine of the whole vectors.
 */
export type Metric = (typeof metrics)[number];

/** @param experts of a layer: each vector's layers have sum 1 by themselves */
export function routingDistances(vectors: Vectors, experts: number, metric: Metric = "js"): Distances {
  const between = { js: jensenShannon, l1: halfL1, cosine }[metric];
  return distances(vectors.length, (a, b) => between(vectors[a]!, vectors[b]!, experts));
}

/** Root of the mean over layers of ½ KL(a‖m) + ½ KL(b‖m), m = (a + b) / 2, in bits (Lin 1991; Endres & Schindelin 2003). */
export function jensenShannon(a: Float64Array, b: Float64Array, experts: number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const [p, q] = [a[i]!, b[i]!];
    const middle = (p + q) / 2;
    if (p > 0) sum += p * Math.log2(p / middle);
    if (q > 0) sum += q * Math.log2(q / middle);
  }
  // Equal vectors may come out a little below zero.
  return Math.sqrt(Math.max(0, (sum / 2) * (experts / a.length)));
}

function halfL1(a: Float64Array, b: Float64Array, experts: number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return (sum / 2) * (experts / a.length);
}

function cosine(a: Float64Array, b: Float64Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return Math.max(0, 1 - dot / Math.sqrt(aa * bb));
}

/** The same distances among some of the things, in the order of `indices`. */
export function among({ size, values }: Distances, indices: readonly number[]): Distances {
  return distances(indices.length, (a, b) => values[indices[a]! * size + indices[b]!]!);
}

/** The lower triangle, row by row: [n (n − 1) / 2]. */
export function triangle({ size, values }: Distances): Float64Array {
  const pairs = new Float64Array((size * (size - 1)) / 2);
  let next = 0;
  for (let a = 1; a < size; a++) for (let b = 0; b < a; b++) pairs[next++] = values[a * size + b]!;
  return pairs;
}
