/** Average linkage of things by their distances: the tree that a dendrogram shows, and how faithful it is. */
import { agnes, type Cluster } from "ml-hclust";
import { pearson } from "./correlation.ts";
import { type Distances, triangle } from "./distance.ts";

/** A tree: leaves stand for things, joints for clusters of all leaves below. */
export type Tree = Leaf | Joint;

export interface Leaf {
  /** Which of the things. */
  index: number;
}

export interface Joint {
  /** Mean distance between the leaves of both sides. */
  height: number;
  /** The side with the lower joint first; of equals, the one with the lowest index. */
  sides: readonly [Tree, Tree];
}

/**
 * Unweighted average linkage (UPGMA; Sokal & Michener 1958). The same distances give the same tree.
 * @param distances of at least one thing, all known
 */
export function averageLinkage(distances: Distances): Tree {
  const { size, values } = distances;
  if (size === 1) return { index: 0 };
  const matrix = Array.from({ length: size }, (_, a) => Array.from(values.subarray(a * size, (a + 1) * size)));
  return treeOf(agnes(matrix, { method: "average", isDistanceMatrix: true }));
}

function treeOf({ isLeaf, index, height, children }: Cluster): Tree {
  if (isLeaf) return { index };
  const [a, b] = children.map(treeOf) as [Tree, Tree];
  const before = heightOf(a) - heightOf(b) || leavesOf(a)[0]! - leavesOf(b)[0]!;
  return { height, sides: before <= 0 ? [a, b] : [b, a] };
}

const heightOf = (tree: Tree) => ("sides" in tree ? tree.height : 0);

/** Indices of a tree's leaves, as they stand in a dendrogram. */
export function leavesOf(tree: Tree): number[] {
  return "sides" in tree ? tree.sides.flatMap(leavesOf) : [tree.index];
}

/** Correlation of the distances with the heights at which the tree joins each two (Sokal & Rohlf 1962): 1 when it keeps all. */
export function copheneticCorrelation(tree: Tree, distances: Distances): number {
  const joined = { size: distances.size, values: new Float64Array(distances.size ** 2) };
  const visit = (node: Tree): number[] => {
    if (!("sides" in node)) return [node.index];
    const [left, right] = node.sides.map(visit) as [number[], number[]];
    for (const a of left)
      for (const b of right) joined.values[a * joined.size + b] = joined.values[b * joined.size + a] = node.height;
    return [...left, ...right];
  };
  visit(tree);
  return pearson(triangle(joined), triangle(distances));
}
