/** Merges against the plain algorithm, and their speed on hostile input. */

import { expect, test } from "bun:test";
import { Merges } from "../../src/tokenizer/bpe.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { dice, randomText, tiny, tinyData } from "./support.ts";

/** Looks for the lowest rank, leftmost first, until there is none. */
function plainMerges(triples: Int32Array, ids: number[]): number[] {
  const out = [...ids];
  for (;;) {
    let best = -1;
    let at = -1;
    for (let i = 0; i + 1 < out.length; i++) {
      for (let rank = 0; 3 * rank < triples.length; rank++) {
        if (triples[3 * rank] !== out[i] || triples[3 * rank + 1] !== out[i + 1]) continue;
        if (best < 0 || rank < best) [best, at] = [rank, i];
      }
    }
    if (best < 0) return out;
    out.splice(at, 2, triples[3 * best + 2]!);
  }
}

test("random merges of random ids", () => {
  const roll = dice(17n);
  for (let i = 0; i < 1000; i++) {
    // Three bytes and merges of whatever there is, in any order: ranks may fall as well as rise.
    const count = 1 + roll(12);
    const pairs = new Map<string, number[]>();
    for (let id = 3; id < 3 + count; id++) {
      const [left, right] = [roll(id), roll(id)];
      pairs.set(`${left} ${right}`, [left, right, id]);
    }
    const triples = Int32Array.from([...pairs.values()].flat());
    const ids = Array.from({ length: 1 + roll(24) }, () => roll(3));
    const merged = Uint32Array.from([99, ...ids, 99]);
    const left = new Merges(triples).apply(merged, 1, ids.length);
    expect([...merged.subarray(1, 1 + left)]).toEqual(plainMerges(triples, ids));
    expect([merged[0], merged[ids.length + 1]]).toEqual([99, 99]);
  }
});

test("as many candidates as there can be", () => {
  // 0 1 0 1 … becomes 2 2 …, 3 3 …, up to one 14; the decoys 1 0 and 2 0 stay candidates to the end.
  const chain = Array.from({ length: 12 }, (_, i) => [i + 2, i + 2, i + 3]);
  const decoys = [1, 2].map((left, i) => [left, 0, 15 + i]);
  const merges = new Merges(Int32Array.from([[0, 1, 2], ...chain, ...decoys].flat()));
  const ids = Uint32Array.from({ length: 2 ** 13 }, (_, i) => i % 2);
  expect([merges.apply(ids, 0, ids.length), ids[0]]).toEqual([1, 14]);
});

/** The small tokenizer with tokens of 2, 4, … 1024 letters a. */
function powers(): Tokenizer {
  const data = tinyData();
  for (let n = 1; n < 1024; n *= 2) {
    const half = "a".repeat(n);
    if (!data.vocabulary.includes(half + half)) data.vocabulary.push(half + half);
    if (!data.merges.includes(`${half} ${half}`)) data.merges.push(`${half} ${half}`);
  }
  return new Tokenizer(data);
}

test("a megabyte of one letter takes less than two seconds", () => {
  const tokenizer = powers();
  const start = performance.now();
  const ids = tokenizer.encode("a".repeat(2 ** 20 + 3));
  expect(performance.now() - start).toBeLessThan(2000);
  expect(new Set(ids.subarray(0, 1024)).size).toBe(1);
  expect(ids.length).toBe(1024 + 2);
  expect(tokenizer.decode(ids)).toBe("a".repeat(2 ** 20 + 3));
});

test.each([" ", "\n", "中", "'s", " a"])("a megabyte of %j takes less than two seconds", (unit) => {
  const text = unit.repeat(2 ** 20 / Buffer.byteLength(unit));
  const tokenizer = powers();
  const start = performance.now();
  const ids = tokenizer.encode(text);
  expect(performance.now() - start).toBeLessThan(2000);
  expect(tokenizer.decode(ids)).toBe(text);
});

test("ids do not depend on what was encoded before, also when the cache has overflowed", () => {
  const roll = dice(23n);
  const used = tiny();
  const words = Array.from({ length: 70_000 }, (_, i) => `w${i.toString(36)}é`);
  const text = words.join(" ");
  const first = used.encode(text);
  expect(used.encode(text)).toEqual(first);
  expect(used.decode(first)).toBe(text);
  for (let i = 0; i < 100; i++) {
    const other = randomText(roll, []);
    expect(used.encode(other)).toEqual(tiny().encode(other));
  }
});

test("pre-tokens of one hash are kept apart", () => {
  const tokenizer = tiny();
  // A cache's worth of words has two with one 32-bit hash once in eight times; this is fifty caches' worth.
  const words = Array.from({ length: 50 * 2 ** 15 }, (_, i) => (26 ** 5 + i).toString(26));
  const text = words.join(" ");
  expect(tokenizer.decode(tokenizer.encode(text)) === text).toBe(true);
});
