/** Learning a tokenizer: the merges of a plain implementation, files that other software reads the same way, limits. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { byteCharacters } from "../../src/tokenizer/alphabet.ts";
import type { TokenizerData } from "../../src/tokenizer/data.ts";
import { parseHfTokenizer } from "../../src/tokenizer/load.ts";
import { PieceCounts } from "../../src/tokenizer/pieces.ts";
import { preTokenEnd } from "../../src/tokenizer/pretokenize.ts";
import { toHfFiles } from "../../src/tokenizer/save.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { trainTokenizer, type WeightedText } from "../../src/tokenizer/train.ts";
import { dice, hfTwin, randomText } from "./support.ts";

const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
const once = (...texts: string[]): WeightedText[] => texts.map((text) => ({ text, weight: 1 }));

/** Byte-pair encoding as the paper has it: every pair counted anew before every merge. */
function plainMerges(texts: WeightedText[], merges: number, longestBytes = 48): string[] {
  const words = new Map<string, number>();
  for (const { text, weight } of texts) {
    for (let start = 0, end: number; start < text.length; start = end) {
      end = preTokenEnd(text, start, text.length);
      const word = text.slice(start, end);
      words.set(word, (words.get(word) ?? 0) + weight);
    }
  }
  const ids = new Map(byteCharacters.map((character, byte) => [character, byte]));
  const rows = [...words].map(([word, count]) => ({
    count,
    symbols: Array.from(new TextEncoder().encode(word), (byte) => byteCharacters[byte]!),
  }));
  const found: string[] = [];
  while (found.length < merges) {
    const counts = new Map<string, number>();
    for (const { symbols, count } of rows)
      for (let i = 1; i < symbols.length; i++) {
        const pair = `${symbols[i - 1]} ${symbols[i]}`;
        if (pair.length <= longestBytes + 1) counts.set(pair, (counts.get(pair) ?? 0) + count);
      }
    const order = (pair: string) => pair.split(" ").map((symbol) => ids.get(symbol)!) as [number, number];
    const before = ([a, b]: [number, number], [c, d]: [number, number]) => a < c || (a === c && b < d);
    let best: string | undefined;
    for (const [pair, count] of counts) {
      const lead = best === undefined ? 1 : count - counts.get(best)!;
      if (lead > 0 || (lead === 0 && before(order(pair), order(best!)))) best = pair;
    }
    if (best === undefined || counts.get(best)! < 2) break;
    const [left, right] = best.split(" ") as [string, string];
    for (const { symbols } of rows)
      for (let i = 1; i < symbols.length; i++)
        if (symbols[i - 1] === left && symbols[i] === right) symbols.splice(i - 1, 2, left + right);
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    if (!found.includes(best)) found.push(best);
  }
  return found;
}

/** Text over few letters, where runs, overlaps and ties abound. */
function babble(seed: bigint, letters: string, length: number): string {
  const roll = dice(seed);
  return Array.from({ length }, () => letters[roll(letters.length)]).join("");
}

describe("the merges are those of a plain implementation", () => {
  const cases: Record<string, [texts: WeightedText[], merges: number]> = {
    "runs of one letter": [once("a".repeat(57), "aaa aaaa aaaaaa", "b aa b aaa"), 60],
    "two letters": [once(babble(1n, "ab", 400), babble(2n, "ab   ", 600)), 200],
    "three letters and ties": [once(babble(3n, "abc    ", 3000)), 300],
    "several bytes a letter": [once(babble(4n, "дняห้नु  ", 2000)), 200],
    weights: [
      [
        { text: babble(5n, "abc  ", 500), weight: 0.3125 },
        { text: babble(6n, "bcd  ", 500), weight: 2 },
      ],
      150,
    ],
    "a real text": [once(readme.slice(0, 12000)), 300],
  };
  test.each(Object.entries(cases))("%s", async (_, [texts, merges]) => {
    const wanted = plainMerges(texts, merges);
    const { merges: found } = await trainTokenizer(texts, { vocabulary: 262 + merges });
    // A spelling reached on two ways takes a merge and no token, so ours may go on a little longer.
    expect(found.slice(0, wanted.length)).toEqual(wanted);
    expect(wanted.length).toBeGreaterThan(5);
  });

  test("with a longest token", async () => {
    const texts = once(babble(7n, "ab ", 2000));
    const { merges } = await trainTokenizer(texts, { vocabulary: 400, longestBytes: 4 });
    expect(merges).toEqual(plainMerges(texts, 138, 4));
    expect(Math.max(...merges.map((merge) => merge.length - 1))).toBe(4);
  });
});

describe("a tokenizer of many scripts", async () => {
  const roll = dice(11n);
  const texts = Array.from({ length: 600 }, () => ({ text: randomText(roll, []), weight: 1 + roll(3) }));
  const data: TokenizerData = await trainTokenizer([...texts, ...once(readme)], { vocabulary: 1500 });
  const tokenizer = new Tokenizer(data);

  test("has LOLA's layout and as many tokens as asked for", () => {
    expect(data.vocabulary).toHaveLength(1500);
    expect(data.vocabulary.slice(0, 6)).toEqual(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"]);
    expect(data.vocabulary.slice(6, 262)).toEqual([...byteCharacters]);
    expect(data.roles.eos_token).toBe("<|endoftext|>");
  });

  test("its files load in @huggingface/tokenizers and give the same ids, and the text comes back", () => {
    const files = toHfFiles(data, 256);
    expect(parseHfTokenizer(files)).toEqual(data);
    const twin = hfTwin(files);
    const random = dice(12n);
    for (let i = 0; i < 1000; i++) {
      const text = randomText(random, ["<mask>", "</s>"]).replaceAll(/[\u0085\ufeff]/g, "");
      expect([text, ...tokenizer.encode(text)]).toEqual([text, ...twin.encode(text).ids]);
      expect(tokenizer.decode(tokenizer.encode(text, { specials: false }))).toBe(text.toWellFormed());
    }
  });

  test("does not depend on the order of the texts", async () => {
    const turned = [...once(readme), ...texts.toReversed()];
    expect(await trainTokenizer(turned, { vocabulary: 1500 })).toEqual(data);
  });
});

test("stops where no pair is frequent enough", async () => {
  const data = await trainTokenizer(once("abc abc xyz"), { vocabulary: 1000 });
  expect(data.merges).toEqual(["a b", "ab c"]);
  expect(data.vocabulary).toHaveLength(264);
  const rarer = await trainTokenizer(once("abc abc xyz"), { vocabulary: 1000, minFrequency: 1 });
  expect(rarer.vocabulary).toHaveLength(264 + 4);
  expect((await trainTokenizer([], { vocabulary: 262 })).merges).toEqual([]);
});

test("every pre-token is counted, however many there are", () => {
  const pieces = new PieceCounts();
  const words = Array.from({ length: 150_000 }, (_, i) => Array.from(`${i}`, (d) => "abcdéfghij"[Number(d)]).join(""));
  const counts = new Map<string, number>();
  for (const word of words) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
    pieces.add(word, 1);
  }
  const bytes = new Uint8Array(pieces.longestBytes);
  const found = Array.from({ length: pieces.size }, (_, e) => {
    const word = new TextDecoder().decode(bytes.subarray(0, pieces.writeBytes(e, bytes)));
    return [word, pieces.weight(e)] as const;
  });
  expect(pieces.size).toBeGreaterThan(2 ** 16);
  expect(new Map(found)).toEqual(counts);
});

test("texts may come one by one", async () => {
  async function* texts() {
    yield* once("abc abc");
  }
  expect((await trainTokenizer(texts(), { vocabulary: 300 })).merges).toEqual(["a b", "ab c"]);
});

test("a long run costs no more than its length", async () => {
  const start = performance.now();
  await trainTokenizer(once("=".repeat(2_000_000)), { vocabulary: 400, longestBytes: 64 });
  expect(performance.now() - start).toBeLessThan(4000);
});

test("a vocabulary that cannot be is refused", async () => {
  const misuse = expect.objectContaining({ name: "LolaError", kind: "usage" });
  for (const vocabulary of [0, 261, 2 ** 22 + 1]) {
    await expect(trainTokenizer([], { vocabulary })).rejects.toEqual(misuse);
  }
});
