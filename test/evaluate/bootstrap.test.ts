/** Intervals of ratios and of their differences: against the normal theory, and where there is nothing to tell. */
import { expect, test } from "bun:test";
import { philox, unit } from "../../src/base/random.ts";
import {
  differenceInterval,
  meanDifferenceInterval,
  type Pair,
  ratioInterval,
  type Unit,
} from "../../src/evaluate/bootstrap.ts";

/** Uniform in [0, 1), one for each place. */
const noise = (stream: number) => (_: unknown, i: number) => unit(philox([7, 0], [i, stream, 0, 0])[0]);

test("the interval of a mean is that of normal theory: 1.96 standard errors to each side", () => {
  const values = Array.from({ length: 400 }, noise(0));
  const mean = values.reduce((a, b) => a + b, 0) / 400;
  const error = Math.sqrt(values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / 400 / 400);
  const [low, high] = ratioInterval(values.map((one): Unit => [one, 1]))!;
  expect((mean - low) / error).toBeCloseTo(1.96, 0);
  expect((high - mean) / error).toBeCloseTo(1.96, 0);
  expect(high - low).toBeGreaterThan(3.6 * error);
  expect(high - low).toBeLessThan(4.2 * error);
});

test("units count by their weight; equal ones have no spread; one unit, or none, has no interval", () => {
  const [low, high] = ratioInterval([
    [1000, 1000],
    [1000, 1000],
    [3, 1],
  ])!;
  expect(low).toBeGreaterThanOrEqual(1);
  expect(high).toBeLessThanOrEqual(3);
  expect(ratioInterval(Array.from({ length: 9 }, (): Unit => [6, 2]))).toEqual([3, 3]);
  expect(ratioInterval([[1, 1]])).toBeNull();
  expect(ratioInterval([])).toBeNull();
});

test("the same units give the same interval", () => {
  const units = Array.from({ length: 50 }, noise(3)).map((one): Unit => [one, 1]);
  expect(ratioInterval(units)).toEqual(ratioInterval(units));
});

/** Two that find the same units hard; the second needs `more`, give or take a little. */
function pairs(more: number, stream: number): Pair[] {
  const [hard, jitter] = [noise(stream), noise(stream + 1)];
  return Array.from({ length: 100 }, (_, i): Pair => {
    const cost = 1 + 5 * hard(_, i);
    return { first: [cost, 1], second: [cost + more + 0.02 * (jitter(_, i) - 0.5), 1] };
  });
}

test("a difference is sure where units agree on it, however much they differ themselves", () => {
  const [low, high] = differenceInterval(pairs(0.05, 10))!;
  expect(low).toBeGreaterThan(0.045);
  expect(high).toBeLessThan(0.055);
  const alone = ratioInterval(pairs(0.05, 10).map(({ second }) => second))!;
  expect(alone[1] - alone[0]).toBeGreaterThan(20 * (high - low));
  const [below, above] = differenceInterval(pairs(0, 12))!;
  expect(below).toBeLessThan(0);
  expect(above).toBeGreaterThan(0);
});

test("a mean of groups is surer than each, as the root of their number; no group may be a single unit", () => {
  const groups = Array.from({ length: 16 }, (_, i) => pairs(0.05, 20 + 2 * i));
  const [low, high] = meanDifferenceInterval(groups)!;
  const [from, to] = differenceInterval(groups[0]!)!;
  expect((to - from) / (high - low)).toBeGreaterThan(3);
  expect((to - from) / (high - low)).toBeLessThan(5.5);
  expect(meanDifferenceInterval([...groups, groups[0]!.slice(0, 1)])).toBeNull();
  expect(meanDifferenceInterval([])).toBeNull();
});

test("in about 95 of 100 samples the interval holds the truth", () => {
  const holds = Array.from({ length: 100 }, (_, i) => {
    const [low, high] = ratioInterval(Array.from({ length: 40 }, noise(100 + i)).map((one): Unit => [one, 1]))!;
    return low <= 0.5 && high >= 0.5;
  });
  expect(holds.filter(Boolean).length).toBeGreaterThan(87);
  expect(holds.filter(Boolean).length).toBeLessThan(100);
});
