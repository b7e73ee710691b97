/** Distances, linkage and Mantel tests: published small examples, plain formulas, every order enumerated. */
import { expect, test } from "bun:test";
import { pearson, ranks } from "../../src/routing/correlation.ts";
import { among, distances, metrics, routingDistances, triangle } from "../../src/routing/distance.ts";
import { averageLinkage, copheneticCorrelation, leavesOf } from "../../src/routing/linkage.ts";
import { mantel, permutationsOf } from "../../src/routing/mantel.ts";

/** A symmetric matrix from its lower triangle, row by row. */
function matrix(size: number, pairs: readonly number[]) {
  return distances(size, (a, b) => pairs[(a * (a - 1)) / 2 + b]!);
}

/** All orders of n things. */
function allOrders(size: number): Uint16Array[] {
  const orders = (rest: number[]): number[][] =>
    rest.length === 0
      ? [[]]
      : rest.flatMap((first) => orders(rest.filter((i) => i !== first)).map((o) => [first, ...o]));
  return orders(Array.from({ length: size }, (_, i) => i)).map((order) => Uint16Array.from(order));
}

test("Mantel: the example of scikit-bio's documentation, Pearson and Spearman", () => {
  const x = matrix(3, [1, 2, 3]);
  const y = matrix(3, [2, 7, 6]);
  const every = { size: 3, orders: allOrders(3) };
  expect(mantel(x, y, every, "pearson")?.r).toBeCloseTo(0.7559289460184544, 12);
  expect(mantel(x, y, every, "spearman")?.r).toBeCloseTo(0.5, 12);
});

test("Mantel: p is the share of all orders, and random orders come near it", () => {
  const x = matrix(6, [1, 4, 3, 7, 6, 4, 8, 9, 5, 2, 9, 8, 7, 4, 3]);
  const y = matrix(6, [2, 3, 3, 9, 7, 5, 6, 9, 6, 1, 7, 9, 6, 5, 4]);
  const [xs, ys] = [triangle(x), triangle(y)];
  const r = pearson(xs, ys);
  const orders = allOrders(6);
  const larger = orders.filter((order) => {
    const shuffled = triangle(among(x, Array.from(order)));
    return pearson(shuffled, ys) >= r - 1e-12;
  });
  const exact = mantel(x, y, { size: 6, orders }, "pearson")!;
  expect(exact.r).toBeCloseTo(r, 12);
  expect(exact.p).toBeCloseTo((1 + larger.length) / 721, 12);
  const drawn = permutationsOf(6, 4000, 1n);
  expect(Math.abs(mantel(x, y, drawn, "pearson")!.p - exact.p)).toBeLessThan(0.02);
  expect(mantel(x, y, permutationsOf(6, 4000, 1n), "pearson")).toEqual(mantel(x, y, drawn, "pearson"));
});

test("partial Mantel: the formula of three correlations, and with two controls residuals of a regression", () => {
  const x = matrix(5, [1, 4, 3, 7, 6, 4, 8, 9, 5, 2]);
  const y = matrix(5, [2, 3, 3, 9, 7, 5, 6, 9, 6, 1]);
  const z = matrix(5, [1, 1, 2, 5, 2, 2, 3, 8, 8, 1]);
  const none = { size: 5, orders: allOrders(5) };
  const formula = (f: (v: Float64Array) => Float64Array) => {
    const [a, b, c] = [x, y, z].map((d) => f(triangle(d))) as [Float64Array, Float64Array, Float64Array];
    const [ab, ac, bc] = [pearson(a, b), pearson(a, c), pearson(b, c)];
    return (ab - ac * bc) / Math.sqrt((1 - ac ** 2) * (1 - bc ** 2));
  };
  expect(mantel(x, y, none, "pearson", [z])?.r).toBeCloseTo(
    formula((v) => v),
    12,
  );
  expect(mantel(x, y, none, "spearman", [z])?.r).toBeCloseTo(formula(ranks), 12);
  // The same control twice takes nothing more away.
  expect(mantel(x, y, none, "pearson", [z, z])?.r).toBeCloseTo(
    formula((v) => v),
    12,
  );
  // What is a control too has nothing left; what is the same everywhere, nothing to test.
  expect(mantel(x, y, none, "pearson", [y])).toBeUndefined();
  expect(mantel(x, matrix(5, Array(10).fill(1)), none)).toBeUndefined();
});

test("permutations are orders, each thing in each place about as often", () => {
  const { orders } = permutationsOf(7, 7000, 3n);
  for (const order of orders.slice(0, 50)) expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  const first = Array.from({ length: 7 }, (_, i) => orders.filter((order) => order[0] === i).length);
  for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(120);
});

test("ranks share their mean among equals", () => {
  expect(Array.from(ranks(Float64Array.of(3, 1, 3, 2)))).toEqual([3.5, 1, 3.5, 2]);
});

test("average linkage: UPGMA of five bacteria by their 5S RNA, as in the method's usual example", () => {
  // Distances and heights × 2 as in the textbook example: a–b 17, e with them 22, c–d 28, all 33.
  const tree = averageLinkage(matrix(5, [17, 21, 30, 31, 34, 28, 23, 21, 39, 43]));
  const heights: number[] = [];
  const visit = (node: typeof tree): void => {
    if (!("sides" in node)) return;
    heights.push(node.height);
    node.sides.forEach(visit);
  };
  visit(tree);
  expect(heights.sort((a, b) => a - b)).toEqual([17, 22, 28, 33]);
  expect(leavesOf(tree).sort()).toEqual([0, 1, 2, 3, 4]);
});

test("cophenetic correlation is 1 where distances are those of a tree, and less where they are not", () => {
  const ultrametric = matrix(4, [1, 3, 3, 3, 3, 2]);
  expect(copheneticCorrelation(averageLinkage(ultrametric), ultrametric)).toBeCloseTo(1, 12);
  const other = matrix(5, [17, 21, 30, 31, 34, 28, 23, 21, 39, 43]);
  const joined = matrix(5, [17, 33, 33, 33, 33, 28, 22, 22, 33, 33]);
  const expected = pearson(triangle(joined), triangle(other));
  expect(copheneticCorrelation(averageLinkage(other), other)).toBeCloseTo(expected, 12);
});

test("distances: 0 between equals, 1 between languages that share no expert, symmetric; by hand between", () => {
  const [a, b, c] = [Float64Array.of(1, 0, 0.5, 0.5), Float64Array.of(0, 1, 0.5, 0.5), Float64Array.of(0, 1, 1, 0)];
  const [js, l1, cosine] = metrics.map((metric) => routingDistances([a, b, c, a], 2, metric).values);
  // Layers: disjoint (divergence 1), then equal (0).
  expect(js![1]).toBeCloseTo(Math.sqrt(1 / 2), 12);
  expect(l1![1]).toBeCloseTo(1 / 2, 12);
  expect(cosine![1]).toBeCloseTo(1 - 0.5 / 1.5, 12);
  const divergence =
    (0.5 * (0.5 * Math.log2(0.5 / 0.75) + 0.5 * Math.log2(0.5 / 0.25)) + 0.5 * Math.log2(1 / 0.75)) / 2;
  expect(js![1 * 4 + 2]).toBeCloseTo(Math.sqrt(divergence), 12);
  for (const values of [js!, l1!, cosine!]) {
    expect(values[3]).toBeCloseTo(0, 12);
    expect(values[4]).toBe(values[1]!);
  }
});
