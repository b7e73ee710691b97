/** Do two matrices of distances go together? Mantel tests and partial ones, by permutations. */
import { philox, seedWords } from "../base/random.ts";
import { centred, dot, normalised, ranks } from "./correlation.ts";
import { type Distances, triangle } from "./distance.ts";

export const correlations = ["spearman", "pearson"] as const;
export type Correlation = (typeof correlations)[number];

export interface Mantel {
  /** Correlation over all pairs, or the partial one: −1 … 1. */
  r: number;
  /** Share of the permutations with such an r or a larger one, the true order counted with them: one-sided. */
  p: number;
  /** What 95 % of the permutations stay below. */
  chance: number;
}

/** Orders of n things, the same ones for the same seed. */
export interface Permutations {
  size: number;
  /** [permutations][size] */
  orders: readonly Uint16Array[];
}

/** Random orders of `size` things, drawn evenly and independently (Fisher–Yates). */
export function permutationsOf(size: number, count: number, seed = 0n): Permutations {
  const key = seedWords(seed);
  const orders = Array.from({ length: count }, (_, permutation) => {
    const order = Uint16Array.from({ length: size }, (_, i) => i);
    let words: readonly number[] = [];
    for (let i = size - 1; i > 0; i--) {
      const at = size - 1 - i;
      if (at % 4 === 0) words = philox(key, [at / 4, permutation, size, 0]);
      const j = Math.floor((words[at % 4]! / 2 ** 32) * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  });
  return { size, orders };
}

/**
 * Mantel's test (Mantel 1967): correlation of two matrices of distances among the same things, held against what it becomes when the
 * things of the first are shuffled. With `controls`, the partial one (Smouse, Long & Sokal 1986): what is left of both when
 * linear regression on the controls is taken away; on ranks where the correlation is Spearman's.
 * @param controls whose part is taken away
 * @returns undefined where one of them does not vary, or the controls leave nothing of it
 */
export function mantel(
  x: Distances,
  y: Distances,
  { orders }: Permutations,
  correlation: Correlation = "spearman",
  controls: readonly Distances[] = [],
): Mantel | undefined {
  const scaled = (distances: Distances) => {
    const pairs = triangle(distances);
    return centred(correlation === "spearman" ? ranks(pairs) : pairs);
  };
  const moved = scaled(x);
  // Columns of an orthonormal basis of what the controls span; a control that adds nothing is left out.
  const basis: Float64Array[] = [];
  for (const control of controls) {
    const rest = residual(scaled(control), basis);
    if (rest) basis.push(rest);
  }
  const target = residual(scaled(y), basis);
  if (!target || !residual(moved, basis)) return undefined;
  const partial = (pairs: Float64Array) => {
    const explained = basis.reduce((sum, column) => sum + dot(pairs, column) ** 2, 0);
    return dot(pairs, target) / Math.sqrt(1 - explained);
  };
  const r = partial(moved);
  const square = squareOf(moved, x.size);
  const pairs = new Float64Array(moved.length);
  const shuffled = Float64Array.from(orders, (order) => {
    reorder(square, order, pairs);
    return partial(pairs);
  });
  const least = r - rounding;
  const p = (1 + shuffled.filter((other) => other >= least).length) / (1 + orders.length);
  return { r, p, chance: shuffled.sort()[Math.ceil(0.95 * orders.length) - 1]! };
}

/** Orders that are the same but for the order of sums count as equal. */
const rounding = 1e-12;

/** What of a column of length 1 is not in the basis, of length 1; undefined where nothing is. */
function residual(column: Float64Array, basis: readonly Float64Array[]): Float64Array | undefined {
  const rest = column.slice();
  for (const known of basis) {
    const part = dot(rest, known);
    for (let i = 0; i < rest.length; i++) rest[i]! -= part * known[i]!;
  }
  return dot(rest, rest) > 1e-9 ? normalised(rest) : undefined;
}

/** A lower triangle as a square: [n · n]. */
function squareOf(pairs: Float64Array, size: number): Float64Array {
  const square = new Float64Array(size * size);
  let next = 0;
  for (let a = 1; a < size; a++)
    for (let b = 0; b < a; b++) square[a * size + b] = square[b * size + a] = pairs[next++]!;
  return square;
}

/** The lower triangle of a square whose things stand in another order. */
function reorder(square: Float64Array, order: Uint16Array, pairs: Float64Array): void {
  let next = 0;
  for (let a = 1; a < order.length; a++) {
    const row = order[a]! * order.length;
    for (let b = 0; b < a; b++) pairs[next++] = square[row + order[b]!]!;
  }
}
