/** Maps and trees of Fisher's irises (1936; iris.csv), held against scikit-learn 1.9.1 and SciPy 1.17.1 on the same file. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Distances, distances } from "../../src/routing/distance.ts";
import { averageLinkage, copheneticCorrelation } from "../../src/routing/linkage.ts";
import { nearestOf } from "../../src/routing/neighbours.ts";
import { type Point, principalComponents, umap } from "../../src/routing/project.ts";
import { tsne } from "../../src/routing/project-tsne.ts";

const vectors = readFileSync(join(import.meta.dir, "iris.csv"), "utf8")
  .trim()
  .split("\n")
  .map((line) => Float64Array.from(line.split(","), Number));
const apart = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.hypot(...Array.from(a, (x, i) => x - b[i]!));
const irises = distances(vectors.length, (a, b) => apart(vectors[a]!, vectors[b]!));

/** Share of points whose nearest neighbour on the map is of their own kind; 50 of each kind stand together. */
function sorted(points: readonly Point[]): number {
  const map: Distances = distances(points.length, (a, b) => apart(points[a]!, points[b]!));
  return nearestOf(map).filter((b, a) => Math.floor(a / 50) === Math.floor(b / 50)).length / points.length;
}

test("principal components: PCA(2) explains 0.92461872 and 0.05306648, farthest points at 3.79564542 and 1.37416509", () => {
  const { points, explained } = principalComponents(vectors);
  expect(explained[0]).toBeCloseTo(0.92461872, 8);
  expect(explained[1]).toBeCloseTo(0.05306648, 8);
  expect(Math.max(...points.map(([x]) => x))).toBeCloseTo(3.79564542, 8);
  expect(Math.max(...points.map(([, y]) => y))).toBeCloseTo(1.37416509, 8);
});

test("t-SNE: as good a map as TSNE(perplexity=30, method='exact', init='pca'), whose divergence is 0.1221", () => {
  const start = principalComponents(vectors).points;
  const { points, divergence } = tsne(irises, start);
  expect(divergence).toBeGreaterThan(0.115);
  expect(divergence).toBeLessThan(0.127);
  expect(sorted(points)).toBeGreaterThan(0.92);
  expect(tsne(irises, start).points).toEqual(points);
});

test("UMAP keeps kinds together, the same for the same seed alone", () => {
  const points = umap(irises, 1n);
  expect(sorted(points)).toBeGreaterThan(0.9);
  const few = distances(20, (a, b) => irises.values[a * 7 * 150 + b * 7]!);
  expect(umap(few, 1n)).toEqual(umap(few, 1n));
  expect(umap(few, 2n)).not.toEqual(umap(few, 1n));
});

test("average linkage: linkage(…, 'average') ends at 4.06268269, cophenetic correlation 0.8769561464741982", () => {
  const tree = averageLinkage(irises);
  expect("height" in tree && tree.height).toBeCloseTo(4.06268269, 8);
  expect(copheneticCorrelation(tree, irises)).toBeCloseTo(0.8769561464741982, 10);
});
