/** The token cache: what is in it, when it is made anew, and what is measured on it. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { languageProbabilities, samplingTable } from "../../src/data/sampling.ts";
import { findSources } from "../../src/data/sources.ts";
import { isHeldOut, openTokens, type TokenCache } from "../../src/data/tokens.ts";
import { validationWindows } from "../../src/data/validation.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { dice, randomText, tiny, tinyData } from "../tokenizer/support.ts";
import { coded, folderOf, removeFolders } from "./support.ts";

afterAll(removeFolders);

const EOS = 5;
const tokenizer = tiny();

/** Documents without blank lines, as a text file can hold them. */
function documents(seed: bigint, count: number): string[] {
  const roll = dice(seed);
  return Array.from({ length: count }, (_, i) => `${i}${randomText(roll, ["<|endoftext|>"]).replaceAll(/\s+/g, " ")}`)
    .map((text) => text.toWellFormed().replaceAll("\ufeff", ""))
    .map((text) => text.trim());
}

const corpus = { swa: documents(1n, 300), yor: documents(2n, 40), zul: documents(3n, 3) };
const files = () =>
  folderOf({
    "swa.txt": corpus.swa.join("\n\n"),
    "yor.jsonl": corpus.yor.map((text) => JSON.stringify({ text })).join("\n"),
    "mixed.jsonl": corpus.zul.map((text) => JSON.stringify({ text, lang: "zul" })).join("\n"),
  });

async function open(folder: string, cacheFolder: string, more: Partial<Parameters<typeof openTokens>[0]> = {}) {
  const sources = await findSources([folder], cacheFolder);
  return openTokens({ sources, tokenizer, eos: EOS, validation: 0.25, cacheFolder, ...more });
}

/** Documents of one side, decoded. */
function textsOf(ids: Iterable<number>): string[] {
  const texts: string[] = [];
  const held: number[] = [];
  for (const id of ids) {
    if (id !== EOS) held.push(id);
    else texts.push(tokenizer.decode(held.splice(0)));
  }
  expect(held).toEqual([]);
  return texts;
}

const facts = (cache: TokenCache) =>
  cache.languages.map(({ language, train, validation }) => [language, [...train.ids], [...validation.ids]]);

describe("a cache", () => {
  const folder = files();
  const kept = folderOf({});

  test("holds every document once, in order, on its side, an eos after each", async () => {
    const { languages } = await open(folder, kept);
    expect(languages.map(({ language }) => language)).toEqual(["swa", "yor", "zul"]);
    languages.forEach(({ language, train, validation }) => {
      const all = corpus[language as keyof typeof corpus];
      for (const [side, held] of [
        [train, false],
        [validation, true],
      ] as const) {
        const wanted = all.filter((text) => isHeldOut(text, 0.25) === held);
        expect(textsOf(side.ids)).toEqual(wanted);
        expect(side.documents).toBe(wanted.length);
        expect(side.bytes).toBe(Buffer.byteLength(wanted.join("")));
      }
    });
  });

  test("is used again, without reading the documents", async () => {
    let told = 0;
    const first = await open(folder, kept);
    const again = await open(folder, kept, { onProgress: () => told++ });
    expect([again.key, facts(again)]).toEqual([first.key, facts(first)]);
    expect([told, readdirSync(kept)]).toEqual([0, [first.key]]);
  });

  test("is another for another tokenizer, split, eos, language or content", async () => {
    const other = new Tokenizer({ ...tinyData(), merges: tinyData().merges.slice(1) });
    const keys = [
      (await open(folder, kept)).key,
      (await open(folder, kept, { validation: 0.5 })).key,
      (await open(folder, kept, { eos: 0 })).key,
      (await open(folder, kept, { tokenizer: other })).key,
      (await open(files(), kept)).key,
    ];
    const changing = files();
    keys.push((await open(changing, kept)).key);
    utimesSync(join(changing, "swa.txt"), 1, 1);
    keys.push((await open(changing, kept)).key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("that is damaged is made again", async () => {
    const whole = facts(await open(folder, kept));
    const damages: ((cache: string) => void)[] = [
      (cache) => writeFileSync(join(cache, "index.json"), "{"),
      (cache) => writeFileSync(join(cache, "index.json"), "{}"),
      (cache) => truncateSync(join(cache, "0.train"), 10),
    ];
    for (const damage of damages) {
      // A cache of its own: cutting a file that is mapped would end the process.
      const fresh = folderOf({ [`${(await open(folder, kept)).key}/0.train`]: "", "x/y": "" });
      damage(join(fresh, (await open(folder, fresh)).key));
      expect(facts(await open(folder, fresh))).toEqual(whole);
    }
  });

  test("is not there when a document cannot be read", async () => {
    const cache = folderOf({});
    const bad = folderOf({ "swa.txt": "fine", "yor.jsonl": '{"text": "fine"}\n{"no": 1}' });
    await expect(open(bad, cache)).rejects.toEqual(coded("data.text"));
    expect(readdirSync(cache)).toEqual([]);
  });

  test("of two that make it at once is one", async () => {
    const cache = folderOf({});
    const [a, b] = await Promise.all([open(folder, cache), open(folder, cache)]);
    expect(facts(a)).toEqual(facts(b));
    expect(readdirSync(cache)).toEqual([a.key]);
  });

  test("has ids of 32 bits where 16 are too few", async () => {
    const data = tinyData();
    const more = Array.from({ length: 70_000 }, (_, i) => ({
      content: `<${i}>`,
      id: 1000 + i,
      special: true,
      lstrip: false,
      rstrip: false,
    }));
    const wide = new Tokenizer({
      ...data,
      vocabulary: [...data.vocabulary, ...more.map(({ content }) => content)],
      added: [...data.added, ...more],
    });
    const [narrow, large] = [await open(folder, kept), await open(folder, kept, { tokenizer: wide })];
    expect(large.languages[0]!.train.ids).toBeInstanceOf(Uint32Array);
    expect(facts(large)).toEqual(facts(narrow));
  });
});

test("the same document is on the same side everywhere, about as many held out as asked for", () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `document ${i}`);
  expect(texts.filter((text) => isHeldOut(text, 0))).toEqual([]);
  const few = texts.filter((text) => isHeldOut(text, 0.02));
  expect(Math.abs(few.length - 400)).toBeLessThan(100);
  expect(few.every((text) => isHeldOut(text, 0.1))).toBe(true);
});

describe("validation windows", () => {
  test("are the same each time, spread over the text, and count their bytes", async () => {
    const cache = await open(files(), folderOf({}));
    const of = (most: number) => validationWindows(cache.languages, tokenizer, EOS, 16, most);
    expect(of(4)).toEqual(of(4));
    const every = of(1e9);
    cache.languages.forEach(({ validation: { ids, bytes } }, language) => {
      const own = every.filter((window) => window.language === language);
      const sum = (field: "targets" | "bytes") => own.reduce((total, window) => total + window[field], 0);
      expect(sum("targets")).toBe(Math.max(0, ids.length - 1));
      // All but the first token is a target.
      expect(sum("bytes")).toBe(ids.length > 0 ? bytes - tokenizer.bytes(ids[0]!).length : 0);
      expect(own.flatMap(({ tokens, targets }) => [...tokens.subarray(1, targets + 1)])).toEqual([...ids.subarray(1)]);
      for (const { tokens, targets } of own) {
        expect(tokens).toHaveLength(17);
        expect([...tokens.subarray(targets + 1)].every((id) => id === EOS)).toBe(true);
      }
      const some = of(4).filter((window) => window.language === language);
      expect(some).toHaveLength(Math.min(4, own.length));
      for (const window of some) expect(own).toContainEqual(window);
    });
  });
});

describe("language sampling", () => {
  test("follows p ∝ min(n, cap)^α", () => {
    expect(languageProbabilities([100, 300], 1)).toEqual([0.25, 0.75]);
    expect(languageProbabilities([100, 900], 0.5)).toEqual([0.25, 0.75]);
    expect(languageProbabilities([100, 300, 0], 0)).toEqual([0.5, 0.5, 0]);
    expect(languageProbabilities([100, 9e9], 1, 300)).toEqual([0.25, 0.75]);
    expect(() => languageProbabilities([0, 0], 0.3)).toThrow(expect.objectContaining({ kind: "usage" }));
    expect(() => languageProbabilities([], 0.3)).toThrow(expect.objectContaining({ kind: "usage" }));
  });

  test("its table tells what each language gets", async () => {
    const { languages } = await open(files(), folderOf({}));
    const probabilities = languageProbabilities(
      languages.map(({ train }) => train.bytes),
      0.3,
    );
    const table = samplingTable(languages, probabilities, 1_000_000);
    expect(table.map(({ language }) => language)).toEqual(["swa", "yor", "zul"]);
    expect(table.reduce((sum, { tokens, epochs }) => sum + tokens * epochs, 0)).toBeCloseTo(1_000_000, 3);
    expect(table[0]!.tokens).toBe(languages[0]!.train.ids.length);
    expect(table[0]!.epochs).toBeLessThan(table[1]!.epochs);
  });
});

test("nothing is written where the sources cannot be found", async () => {
  const cache = join(folderOf({}), "cache");
  await expect(findSources(["nowhere"], cache)).rejects.toEqual(expect.objectContaining({ kind: "usage" }));
  expect(existsSync(cache)).toBe(false);
});
