/** Is a language's nearest neighbour by routing one of its own family? Held against labels that are shuffled. */
import type { Distances } from "./distance.ts";
import type { Permutations } from "./mantel.ts";

export interface NeighbourScore {
  /** Languages that have a relative among the others. */
  scored: number;
  /** Of these, share whose nearest neighbour is a relative. */
  share: number;
  /** The same, on average, where labels are shuffled. */
  chance: number;
  /** Share of the shuffles that do as well, the true labels counted with them. */
  p: number;
}

/**
 * @param distances of at least two things
 * @param labels of each thing, its family
 * @returns undefined where no two share a label
 */
export function neighbourScore(
  distances: Distances,
  labels: readonly string[],
  { orders }: Permutations,
): NeighbourScore | undefined {
  const nearest = nearestOf(distances);
  const sizes = new Map<string, number>();
  for (const label of labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  // Numbers are compared faster than strings; what has no relative is −1 − its index, alike with nothing.
  const numbers = [...sizes.keys()];
  const ids = Int32Array.from(labels, (label, i) => (sizes.get(label)! > 1 ? numbers.indexOf(label) : -1 - i));
  const scored = ids.filter((id) => id >= 0).length;
  if (scored === 0) return undefined;
  const hits = (of: (thing: number) => number) => {
    let count = 0;
    for (let i = 0; i < nearest.length; i++) if (of(i) === of(nearest[i]!)) count++;
    return count;
  };
  const found = hits((i) => ids[i]!);
  const shuffled = orders.map((order) => hits((i) => ids[order[i]!]!));
  return {
    scored,
    share: found / scored,
    chance: shuffled.reduce((sum, count) => sum + count, 0) / orders.length / scored,
    p: (1 + shuffled.filter((count) => count >= found).length) / (1 + orders.length),
  };
}

/** The nearest other thing of each; the first of equals. */
export function nearestOf({ size, values }: Distances): Uint16Array {
  return Uint16Array.from({ length: size }, (_, a) => {
    let best = a === 0 ? 1 : 0;
    for (let b = 0; b < size; b++) if (b !== a && values[a * size + b]! < values[a * size + best]!) best = b;
    return best;
  });
}
