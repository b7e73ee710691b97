/** Documents scored in company, alone and by windows; paragraphs of them; against the fixture's figures. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openDevice } from "../../src/device/choose.ts";
import type { TextSample } from "../../src/evaluate/results.ts";
import { numbered, scoreDocuments, type Windows } from "../../src/evaluate/text.ts";
import { Likelihood } from "../../src/model/likelihood.ts";
import { loadModel, openSource } from "../../src/model/open.ts";

const folder = join(import.meta.dir, "../../../shared/fixtures/udhr-lola");
const expected = await Bun.file(join(folder, "expected.json")).json();
const { device } = await openDevice("cpu");
const model = loadModel(device, openSource(folder));
const { config, tokenizer, weights } = model;
const usual: Windows = { eos: config.eos, vocabulary: config.vocabulary, context: config.context, stride: 128 };
const text = (language: string) => Bun.file(join(folder, "texts", `${language}.txt`)).text();
afterAll(() => device.close());

async function score(batch: number, texts: Record<string, string>, size = usual): Promise<Map<string, TextSample>> {
  const likelihood = new Likelihood(device, { ...config, context: size.context }, weights, batch);
  const found = new Map<string, TextSample>();
  const documents = numbered(Object.entries(texts).map(([language, text]) => ({ language, text })));
  await scoreDocuments(likelihood, tokenizer, documents, size, { done: (one) => found.set(one.language, one) });
  return found;
}

test("bits per byte of the fixture's texts, as PyTorch computed them in float64", async () => {
  let compared = 0;
  for (const [language, { bits_per_byte, bytes }] of Object.entries<{ bits_per_byte: number; bytes: number }>(
    expected.first_257_tokens,
  )) {
    const [first, ...rest] = tokenizer.encode(await text(language)).subarray(0, 257);
    const scored = tokenizer.decode(rest);
    // Where the 257 tokens end in the middle of a character there is no such text.
    if (!Bun.deepEquals([...tokenizer.encode(scored)], rest)) continue;
    // The fixture has the text's own first token where a document has an end of text.
    const found = await score(1, { [language]: scored }, { ...usual, eos: first!, stride: 256 });
    const { bits, bytes: size, tokens } = found.get(language)!;
    expect([size, tokens]).toEqual([bytes, 256]);
    expect(Math.abs(bits / size / bits_per_byte - 1)).toBeLessThan(1e-5);
    compared++;
  }
  expect(compared).toBe(7);
});

test("texts of all lengths have the same scores alone and 32 at a time, to 1e-6 of a bit per byte", async () => {
  const [eng, hin, cmn] = [await text("eng"), await text("hin"), await text("cmn_hans")];
  const texts: Record<string, string> = { long: eng.slice(0, 2500), hin: hin.slice(0, 300), cmn: cmn.slice(0, 90) };
  for (let i = 1; i < 30; i++) texts[`short${i}`] = eng.slice(40 * i, 40 * i + 3 * i);
  const [alone, together] = [await score(1, texts), await score(32, texts)];
  expect([...together.keys()].sort()).toEqual(Object.keys(texts).sort());
  for (const [language, { bits, bytes, parts }] of alone) {
    expect(Math.abs(together.get(language)!.bits - bits) / bytes).toBeLessThan(1e-6);
    expect(bytes).toBe(Buffer.byteLength(texts[language]!));
    expect(parts.reduce((sum, [size]) => sum + size, 0)).toBe(bytes);
  }
});

test("each token is scored once whatever the stride, and more context before it is no worse", async () => {
  const eng = (await text("eng")).slice(0, 3000);
  const [apart, close] = [
    await score(2, { eng }, { ...usual, stride: 256 }),
    await score(2, { eng }, { ...usual, stride: 32 }),
  ];
  expect(apart.get("eng")!.tokens).toBe(tokenizer.encode(eng).length);
  expect(close.get("eng")!.tokens).toBe(apart.get("eng")!.tokens);
  expect(close.get("eng")!.bits).toBeLessThan(apart.get("eng")!.bits);
  expect(close.get("eng")!.bits).toBeGreaterThan(apart.get("eng")!.bits / 3);
});

test("paragraphs end at line ends, long ones at 1,000 bytes; names of special tokens are text", async () => {
  const lines = ["Article 1", "é".repeat(700), "x"];
  const found = await score(1, { eng: lines.join("\n"), special: "<|endoftext|>" });
  expect(found.get("eng")!.parts.map(([bytes]) => bytes)).toEqual([10, 1000, 401, 1]);
  expect(found.get("eng")!.parts.every(([, bits]) => bits > 0)).toBe(true);
  expect(found.get("special")!.tokens).toBeGreaterThan(3);
});

test("equal documents of a language have ids of their own; a signal stops between passes", async () => {
  const same = { language: "eng", text: "All human beings" };
  const ids = numbered([same, same, { ...same, language: "fra" }]).map(({ id }) => id);
  expect(new Set(ids).size).toBe(3);
  expect(ids[1]).toBe(`${ids[0]}-1`);
  const signal = AbortSignal.abort();
  const likelihood = new Likelihood(device, config, weights, 1);
  const scoring = scoreDocuments(likelihood, tokenizer, numbered([same]), usual, { done: () => {}, signal });
  await expect(scoring).rejects.toMatchObject({ name: "AbortError" });
});
