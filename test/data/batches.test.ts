/** Batches: every window once an epoch, nothing read over an end, and a saved place that goes on as if never stopped. */

import { describe, expect, test } from "bun:test";
import { Batches, type BatchOptions } from "../../src/data/batches.ts";
import { permuted } from "../../src/data/order.ts";
import type { TokenIds } from "../../src/data/tokens.ts";

/** Tokens that say where they stand: language · 10,000 + position. */
const streamOf = (language: number, length: number): TokenIds =>
  Uint32Array.from({ length }, (_, i) => 10_000 * language + i);

const lengths = [1000, 37, 7, 0, 2048];
const options: BatchOptions = {
  streams: lengths.map((length, language) => streamOf(language, length)),
  probabilities: [0.4, 0.2, 0.1, 0.1, 0.2],
  batch: 3,
  context: 16,
  seed: 5n,
};

/** Rows of a batch with their languages. */
function rowsOf({ tokens, languages }: ReturnType<Batches["next"]>, context: number) {
  return Array.from(languages, (language, row) => ({
    language,
    tokens: [...tokens.subarray(row * (context + 1), (row + 1) * (context + 1))],
  }));
}

test.each([1, 2, 3, 5, 16, 17, 63, 64, 65, 1000, 4099])("the order of %i things holds each of them once", (n) => {
  const orders = [1, 2].map((epoch) => Array.from({ length: n }, (_, i) => permuted(i, n, [1, 2], [0, epoch, 3])));
  for (const order of orders) {
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  }
  if (n > 16) expect(orders[0]).not.toEqual(orders[1]!);
});

test("a shuffled order leaves few neighbours together", () => {
  const order = Array.from({ length: 10_000 }, (_, i) => permuted(i, 10_000, [7, 8], [0, 0, 3]));
  // By chance it is one in 10,000 on average, so about one; and the mean distance is a third of the length.
  expect(order.filter((at, i) => at === order[i - 1]! + 1).length).toBeLessThan(10);
  const distance = order.slice(1).reduce((sum, at, i) => sum + Math.abs(at - order[i]!), 0) / 9999;
  expect(distance).toBeGreaterThan(3200);
  expect(distance).toBeLessThan(3500);
});

describe("rows", () => {
  test("are windows of one language's ring, each token followed by its successor", () => {
    const batches = new Batches(options);
    for (let i = 0; i < 200; i++)
      for (const { language, tokens } of rowsOf(batches.next(), 16)) {
        const length = lengths[language]!;
        for (let t = 0; t < 17; t++) {
          const at = tokens[t]! - 10_000 * language;
          expect(at >= 0 && at < length).toBe(true);
          if (t > 0) expect(tokens[t]).toBe(10_000 * language + ((tokens[t - 1]! - 10_000 * language + 1) % length));
        }
      }
  });

  test("an epoch has no target twice, leaves out fewer than T, and each epoch others", () => {
    // 1000 tokens make 62 windows of 16 targets, and 8 targets are left out.
    const batches = new Batches({ ...options, streams: [streamOf(0, 1000)], probabilities: [1], batch: 62 });
    const left: string[] = [];
    for (let epoch = 0; epoch < 5; epoch++) {
      const targets = rowsOf(batches.next(), 16).flatMap(({ tokens }) => tokens.slice(1));
      const seen = new Set(targets);
      expect(targets).toHaveLength(992);
      expect(seen.size).toBe(992);
      left.push(String(Array.from({ length: 1000 }, (_, i) => i).filter((i) => !seen.has(i))));
    }
    expect(new Set(left).size).toBe(5);
    expect(batches.cursor).toEqual({ rows: 310, windows: [310] });
  });

  test("come as often as their language's probability says; one without text never", () => {
    const batches = new Batches({ ...options, batch: 1000 });
    for (let i = 0; i < 20; i++) batches.next();
    const { rows, windows } = batches.cursor;
    expect(rows).toBe(20_000);
    expect(windows.reduce((a, b) => a + b)).toBe(20_000);
    // Language 3 has no text: its share goes to the others. Five standard deviations are at most 0.018.
    [4, 2, 1, 0, 2].forEach((share, i) => {
      expect(Math.abs(windows[i]! / 20_000 - share / 9)).toBeLessThan(0.018);
    });
    expect(windows[3]).toBe(0);
  });
});

describe("a saved place", () => {
  test("goes on with the same batches, from any step, through JSON", () => {
    const whole = new Batches(options);
    const cursors: string[] = [];
    const wanted = Array.from({ length: 120 }, () => {
      cursors.push(JSON.stringify(whole.cursor));
      return whole.next();
    });
    for (const at of [0, 1, 40, 77, 119]) {
      const resumed = new Batches({ ...options, cursor: JSON.parse(cursors[at]!) });
      for (let i = at; i < 120; i++) expect(resumed.next()).toEqual(wanted[i]!);
      expect(resumed.cursor).toEqual(whole.cursor);
    }
  });

  test("is not changed by the batches that follow", () => {
    const batches = new Batches(options);
    batches.next();
    const { cursor } = batches;
    const before = JSON.stringify(cursor);
    batches.next();
    expect(JSON.stringify(cursor)).toBe(before);
    new Batches({ ...options, cursor }).next();
    expect(JSON.stringify(cursor)).toBe(before);
  });

  test("of other languages is refused", () => {
    const cursor = { rows: 3, windows: [1, 2] };
    expect(() => new Batches({ ...options, cursor })).toThrow(
      expect.objectContaining({ kind: "data", code: "data.cursor" }),
    );
  });

  test("beyond 2^32 rows draws on", () => {
    const windows = [0, 0, 0, 0, 0];
    const far = new Batches({ ...options, cursor: { rows: 2 ** 32 + 5, windows } });
    const near = new Batches({ ...options, cursor: { rows: 5, windows } });
    const languages = ({ languages }: { languages: Uint16Array }) => [...languages];
    const drawn = [far, near].map((batches) => Array.from({ length: 20 }, () => languages(batches.next())).flat());
    expect(drawn[0]).not.toEqual(drawn[1]!);
  });
});

test("another seed, other batches; the same seed, the same", () => {
  const first = (seed: bigint) => new Batches({ ...options, seed }).next();
  expect(first(5n)).toEqual(first(5n));
  expect(first(5n)).not.toEqual(first(6n));
  expect(first(1n)).not.toEqual(first(1n + 2n ** 32n));
});

test("no text at all is refused", () => {
  const empty = { ...options, streams: [new Uint16Array(0)], probabilities: [1] };
  expect(() => new Batches(empty)).toThrow(expect.objectContaining({ kind: "usage" }));
});
