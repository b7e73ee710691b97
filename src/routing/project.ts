/** Languages and experts as points of a plane, the same ones on every run: by principal components, and by UMAP. */
import { PCA } from "ml-pca";
import { UMAP } from "umap-js";
import { philox, seedWords, unit } from "../base/random.ts";
import type { Distances } from "./distance.ts";
import type { Vectors } from "./vectors.ts";

export type Point = readonly [x: number, y: number];

export interface Components {
  points: Point[];
  /** Share of the variance that each of both axes shows. */
  explained: Point;
}

/** The first two principal components of centred vectors. @param vectors at least three, not all the same */
export function principalComponents(vectors: Vectors): Components {
  const rows = vectors.map((vector) => Array.from(vector));
  const pca = new PCA(rows, { center: true, scale: false });
  const scores = pca.predict(rows, { nComponents: 2 }).to2DArray();
  const [first = 0, second = 0] = pca.getExplainedVariance();
  // An axis may point either way: the value farthest from 0 is made positive.
  const [x, y] = [0, 1].map((axis) => {
    const values = scores.map((score) => score[axis] ?? 0);
    const farthest = values.reduce((best, value) => (Math.abs(value) > Math.abs(best) + 1e-12 ? value : best), 0);
    return farthest < 0 ? values.map((value) => -value) : values;
  }) as [number[], number[]];
  return { points: x.map((value, i) => [value, y[i]!]), explained: [first, second] };
}

/** Neighbours that UMAP looks at, where there are enough points. */
const usualNeighbours = 15;

/**
 * UMAP (McInnes, Healy & Melville 2018) of things by their distances, with the exact nearest neighbours.
 * @param distances of at least four things
 */
export function umap(distances: Distances, seed = 0n, neighbours = usualNeighbours): Point[] {
  const { size, values } = distances;
  const nNeighbors = Math.min(neighbours, size - 1);
  const indices = Array.from({ length: size }, (_, a) =>
    Array.from({ length: size }, (_, b) => b)
      // A thing is its own first neighbour, even where another one is as near.
      .sort((b, c) => values[a * size + b]! - values[a * size + c]! || Number(c === a) - Number(b === a) || b - c)
      .slice(0, nNeighbors),
  );
  const near = indices.map((row, a) => row.map((b) => values[a * size + b]!));
  const map = new UMAP({
    nNeighbors,
    random: randomOf(seed),
    distanceFn: ([a], [b]) => values[a! * size + b!]!,
  });
  map.setPrecomputedKNN(indices, near);
  const points = map.fit(Array.from({ length: size }, (_, i) => [i]));
  return points.map(([x, y]) => [x!, y!]);
}

/** Numbers in [0, 1), one after the other. */
function randomOf(seed: bigint): () => number {
  const key = seedWords(seed);
  let drawn = 0;
  return () => unit(philox(key, [drawn++, 0, 0, 0])[0]);
}
