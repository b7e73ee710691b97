/** Equal to the fixtures' encodings and to `@huggingface/tokenizers`. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseHfTokenizer } from "../../src/tokenizer/load.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { dice, filesOf, hfTwin, randomText, tiny, tinyData, tinyFiles } from "./support.ts";

const fixtures = join(import.meta.dir, "../../../shared/fixtures");

describe.each(["tiny-lola", "udhr-lola"])("%s", (name) => {
  const folder = join(fixtures, name);
  const cases: { text: string; ids: number[]; decoded: string }[] = JSON.parse(
    readFileSync(join(folder, "encodings.json"), "utf8"),
  );

  test("ids and decoded text are the reference's", () => {
    const tokenizer = new Tokenizer(parseHfTokenizer(filesOf(folder)));
    expect(cases.length).toBeGreaterThan(0);
    for (const { text, ids, decoded } of cases) {
      expect([text, ...tokenizer.encode(text)]).toEqual([text, ...ids]);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
  });
});

test("10,000 random texts: ids and decoded text are Hugging Face's", () => {
  const tokenizer = tiny();
  const twin = hfTwin(tinyFiles());
  const specials = tinyData().added.map((token) => token.content);
  const roll = dice(2024n);
  for (let i = 0; i < 10_000; i++) {
    // These two are not whitespace in JavaScript as they are in Unicode; pretokenize.test.ts has them.
    const text = randomText(roll, specials).replaceAll(/[\u0085\ufeff]/g, "");
    const ids = Array.from(tokenizer.encode(text));
    const expected = twin.encode(text).ids;
    if (!Bun.deepEquals(ids, expected)) expect([text, ...ids]).toEqual([text, ...expected]);
    if (ids.length === 0) continue;
    expect(tokenizer.decode(ids)).toBe(twin.decode(ids));
    expect(tokenizer.decode(ids, { skipSpecials: true })).toBe(twin.decode(ids, { skip_special_tokens: true }));
  }
});

test("random ids decode as Hugging Face's do", () => {
  const tokenizer = tiny();
  const twin = hfTwin(tinyFiles());
  const roll = dice(7n);
  for (let i = 0; i < 2000; i++) {
    const ids = Array.from({ length: 1 + roll(12) }, () => roll(tokenizer.size));
    expect([ids, tokenizer.decode(ids)]).toEqual([ids, twin.decode(ids)]);
  }
});

test("text comes back exactly, lone surrogates as U+FFFD", () => {
  const tokenizer = tiny();
  const roll = dice(11n);
  for (let i = 0; i < 2000; i++) {
    const text = randomText(roll, ["<s>", "<|endoftext|>", "<mask>"]);
    expect(tokenizer.decode(tokenizer.encode(text, { specials: false }))).toBe(text.toWellFormed());
  }
});

describe("added tokens", () => {
  const tokenizer = tiny();

  test("are cut out of text, or not on demand", () => {
    const plain = tokenizer.encode("<s>", { specials: false });
    expect(plain.length).toBeGreaterThan(1);
    expect([...tokenizer.encode("a<s>")]).toEqual([...tokenizer.encode("a"), 0]);
    expect(tokenizer.decode(plain)).toBe("<s>");
  });

  test("that strip take whitespace with them, U+0085 too and U+FEFF not", () => {
    const data = tinyData();
    const mask = data.added.find((token) => token.content === "<mask>")!;
    mask.rstrip = true;
    const both = new Tokenizer(data);
    expect([...both.encode("a \u0085<mask>\u3000 b")]).toEqual([...both.encode("a"), mask.id, ...both.encode("b")]);
    expect([...both.encode("a\ufeff<mask>b")]).toEqual([...both.encode("a\ufeff"), mask.id, ...both.encode("b")]);
    expect([...both.encode(" <mask> <mask> ")]).toEqual([mask.id, mask.id]);
  });

  test("the longest of several at one place is taken", () => {
    const data = tinyData();
    const added = { special: false, lstrip: false, rstrip: false };
    data.vocabulary.push("<s>x", "[new user]");
    data.added.push({ id: 1000, content: "<s>x", ...added }, { id: 1001, content: "[new user]", ...added });
    const longer = new Tokenizer(data);
    expect([...longer.encode("<s>x<s>[new user]")]).toEqual([1000, 0, 1001]);
    expect(longer.decode([1000, 0, 1001], { skipSpecials: true })).toBe("<s>x[new user]");
  });

  test("are found by content", () => {
    expect(tokenizer.idOf("<|endoftext|>")).toBe(5);
    expect(tokenizer.idOf(" ")).toBe(tokenizer.encode(" ")[0]!);
    expect(tokenizer.idOf("no such token")).toBeUndefined();
  });
});

test("a prefix space is added to each part of the text that lacks one", () => {
  const spaced = new Tokenizer({ ...tinyData(), addPrefixSpace: true });
  const files = tinyFiles();
  const json = JSON.parse(files["tokenizer.json"]);
  json.pre_tokenizer.add_prefix_space = true;
  const twin = hfTwin({ ...files, "tokenizer.json": JSON.stringify(json) });
  for (const text of ["the end", " the end", "<s>the<s> end", "\tend"])
    expect([text, ...spaced.encode(text)]).toEqual([text, ...twin.encode(text).ids]);
});

test("ids outside the vocabulary are the caller's mistake", () => {
  const tokenizer = tiny();
  expect(tokenizer.size).toBe(1000);
  for (const id of [-1, 1000, 0.5, Number.NaN])
    expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ kind: "usage" }));
});
