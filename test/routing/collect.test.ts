/** Collecting: every token's expert as a session by itself finds it, whatever shares its pass; limits; sums. */
import { afterAll, expect, test } from "bun:test";
import type { Document } from "../../src/data/documents.ts";
import { openDevice } from "../../src/device/choose.ts";
import { randomWeights } from "../../src/model/random.ts";
import { Session } from "../../src/model/session.ts";
import { loadWeights } from "../../src/model/weights.ts";
import { collect, type RoutedDocument, tokenised } from "../../src/routing/collect.ts";
import { RoutingPass } from "../../src/routing/collect-pass.ts";
import { dummyTokenizer } from "../../src/tokenizer/layout.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { tinyConfig } from "../model/tiny.ts";

const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => device.close());

/** Two mixtures. */
const config = { ...tinyConfig, layers: 4 };
const weights = loadWeights(
  device,
  config,
  randomWeights(config, () => "f32"),
);
const tokenizer = new Tokenizer(dummyTokenizer(config.vocabulary));
const model = { device, config, weights, tokenizer };
const pass = new RoutingPass(model);
const everything = { documents: 10_000, bytes: 2 ** 30 };

/** Documents of 1 to 130 bytes in three languages that take turns: shorter than the context, as long, longer. */
const documents: Document[] = Array.from({ length: 60 }, (_, i) => ({
  language: ["swa", "deu", "srp_Latn"][i % 3]!,
  text: Array.from({ length: [1, 47, 48, 49, 96, 130, 5][i % 7]! }, (_, t) =>
    String.fromCharCode(97 + ((i * 7 + t * t) % 26)),
  ).join(""),
}));

test("every token goes where a session of its window alone sends it; counts and gates are their sums", async () => {
  const seen: RoutedDocument[] = [];
  const languages = await collect(pass, tokenised(documents, tokenizer, everything), {
    onDocument: (document) => seen.push(document),
  });
  expect(seen.map(({ language, row }) => [language, row])).toEqual(
    documents.map(({ language }, i) => [language, Math.floor(i / 3)]),
  );
  expect(languages.map(({ language }) => language)).toEqual(["deu", "srp_Latn", "swa"]);
  const session = new Session(device, config, weights);
  const sums = new Map(languages.map(({ language }) => [language, [0, 1].map(() => Array(config.experts).fill(0))]));
  const likeliest = new Map(languages.map(({ language }) => [language, [0, 0]]));
  for (const [i, { ids, experts, language }] of seen.entries()) {
    expect(tokenizer.decode(ids)).toBe(documents[i]!.text);
    for (let at = 0; at < ids.length; at += config.context) {
      session.rewind();
      const alone = await session.scores(ids.subarray(at, at + config.context));
      for (const layer of [0, 1]) {
        expect(experts[layer]!.subarray(at, at + config.context)).toEqual(alone.experts[layer]!);
        for (const e of alone.experts[layer]!) sums.get(language)![layer]![e]++;
        likeliest.get(language)![layer]! += alone.probs[layer]!.reduce((a, b) => a + b, 0);
      }
    }
  }
  for (const found of languages) {
    expect(found.counts).toEqual(sums.get(found.language)!);
    const texts = documents.filter(({ language }) => language === found.language).map(({ text }) => text);
    expect([found.documents, found.bytes]).toEqual([20, texts.join("").length]);
    for (const [layer, probability] of found.probability.entries()) {
      expect(probability.reduce((a, b) => a + b)).toBeCloseTo(1, 4);
      expect(found.counts[layer]!.reduce((a, b) => a + b)).toBe(found.tokens);
      expect(found.entropy[layer]!).toBeGreaterThan(0);
      expect(found.entropy[layer]!).toBeLessThan(Math.log(config.experts));
      // The likeliest of 5 has more than a fifth, less than all.
      expect(likeliest.get(found.language)![layer]! / found.tokens).toBeGreaterThan(1 / config.experts);
    }
  }
});

test("gates: mean probability and entropy of one token's by hand", async () => {
  const ids = Uint32Array.of(65);
  const [found] = await collect(pass, [{ language: "und", ids, bytes: 1 }]);
  const { probabilities, experts } = await pass.run([ids]);
  for (const [layer, gates] of probabilities.entries()) {
    for (const [e, p] of gates.entries()) expect(found!.probability[layer]![e]!).toBeCloseTo(p, 5);
    const entropy = gates.reduce((sum, p) => sum - p * Math.log(p), 0);
    expect(found!.entropy[layer]!).toBeCloseTo(entropy, 5);
    expect(gates.indexOf(Math.max(...gates))).toBe(experts[layer]![0]!);
  }
});

test("limits: the first documents, bytes in whole characters", async () => {
  const texts = ["ab", "", "żółw", "cd"].map((text) => ({ language: "pol", text }));
  const read = async (limits: { documents: number; bytes: number }) =>
    (await Array.fromAsync(tokenised(texts, tokenizer, limits))).map(({ ids, bytes }) => [
      tokenizer.decode(ids),
      bytes,
    ]);
  expect(await read({ documents: 2, bytes: 100 })).toEqual([
    ["ab", 2],
    ["żółw", 7],
  ]);
  expect(await read({ documents: 9, bytes: 5 })).toEqual([
    ["ab", 2],
    ["ż", 2],
  ]);
  expect(await read({ documents: 9, bytes: 100 })).toEqual([
    ["ab", 2],
    ["żółw", 7],
    ["cd", 2],
  ]);
});

test("favourites: tokens that an expert sees more of than of others, the counts true", async () => {
  const languages = await collect(pass, tokenised(documents, tokenizer, everything));
  for (const { favourites, counts, tokens } of languages)
    for (const [layer, experts] of favourites.entries())
      for (const [e, liked] of experts.entries())
        for (const { text, token, count, of } of liked) {
          expect(tokenizer.decode([token])).toBe(text);
          expect(of).toBeGreaterThanOrEqual(5);
          expect(count / of).toBeGreaterThan(counts[layer]![e]! / tokens);
        }
  expect(languages.flatMap(({ favourites }) => favourites.flat(2)).length).toBeGreaterThan(0);
});

test("common tokens: how often each occurred, the most frequent first", async () => {
  const texts = [{ language: "und", text: "abbcccaccc" }];
  const [found] = await collect(pass, tokenised(texts, tokenizer, everything));
  const [c, a, b] = ["c", "a", "b"].map((text) => tokenizer.encode(text)[0]!) as [number, number, number];
  expect(found!.common).toEqual([
    [c, 6],
    [a, 2],
    [b, 2],
  ]);
});

test("stops when told to, and refuses a model without experts", async () => {
  const stopped = AbortSignal.abort();
  const run = collect(pass, tokenised(documents, tokenizer, everything), { signal: stopped });
  await expect(run).rejects.toThrow(/abort/i);
  expect(() => new RoutingPass({ ...model, config: { ...config, layers: 1 } })).toThrow(/no layer of experts/);
});
