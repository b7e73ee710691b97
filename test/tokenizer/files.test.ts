/** Hugging Face files: read, refused with a code, written back. */

import { describe, expect, test } from "bun:test";
import { type TokenizerData, validateTokenizer } from "../../src/tokenizer/data.ts";
import { type HfFiles, parseHfTokenizer } from "../../src/tokenizer/load.ts";
import { toHfFiles } from "../../src/tokenizer/save.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { dice, hfTwin, randomText, tinyData, tinyFiles } from "./support.ts";

const coded = (code: string) => expect.objectContaining({ name: "LolaError", kind: "data", code });

test("tokenizer.json and vocab.json with merges.txt give the same tokens", () => {
  const { "tokenizer.json": json, ...pair } = tinyFiles();
  const newer = parseHfTokenizer({ ...pair, "tokenizer.json": json });
  const older = parseHfTokenizer(pair);
  expect(older.vocabulary).toEqual(newer.vocabulary);
  expect(older.merges).toEqual(newer.merges);
  expect(older.roles).toEqual(newer.roles);
  // Only tokenizer.json says that <mask> strips.
  expect(older.added).toEqual(newer.added.map((token) => ({ ...token, lstrip: false })));
});

test("added_tokens_decoder and objects in special_tokens_map.json are read too", () => {
  const { "vocab.json": vocab, "merges.txt": merges } = tinyFiles();
  const files = {
    "vocab.json": vocab,
    "merges.txt": merges.replaceAll("\n", "\r\n"),
    "tokenizer_config.json": JSON.stringify({
      add_prefix_space: true,
      added_tokens_decoder: { 1000: { content: "[user]", special: false, rstrip: true } },
    }),
    "special_tokens_map.json": JSON.stringify({ mask_token: { content: "<mask>", lstrip: true } }),
  };
  const data = parseHfTokenizer(files);
  expect(data.merges).toEqual(tinyData().merges);
  expect(data.added).toEqual([
    { id: 4, content: "<mask>", special: true, lstrip: true, rstrip: false },
    { id: 1000, content: "[user]", special: false, lstrip: false, rstrip: true },
  ]);
  expect(data.roles).toEqual({ mask_token: "<mask>" });
  expect(data.addPrefixSpace).toBe(true);
});

test("merges as pairs of strings are the same merges", () => {
  const files = tinyFiles();
  const json = JSON.parse(files["tokenizer.json"]);
  json.model.merges = json.model.merges.map((merge: string) => merge.split(" "));
  expect(parseHfTokenizer({ ...files, "tokenizer.json": JSON.stringify(json) })).toEqual(tinyData());
});

test("a token with a role is special though tokenizer.json does not list it", () => {
  const json = JSON.parse(tinyFiles()["tokenizer.json"]);
  json.added_tokens = json.added_tokens.filter((token: { id: number }) => token.id !== 5);
  expect(parseHfTokenizer({ ...tinyFiles(), "tokenizer.json": JSON.stringify(json) })).toEqual(tinyData());
});

describe("export", () => {
  const data = tinyData();
  const files = toHfFiles(data, 64);

  test("reads back as the same data, from either set of files", () => {
    expect(parseHfTokenizer(files)).toEqual(data);
    const { "tokenizer.json": _, ...pair } = files;
    expect(parseHfTokenizer(pair)).toEqual(data);
    expect(JSON.parse(files["tokenizer_config.json"]).model_max_length).toBe(64);
  });

  test("loads in @huggingface/tokenizers and gives the same ids", () => {
    const tokenizer = new Tokenizer(data);
    const twin = hfTwin(files);
    const roll = dice(31n);
    for (let i = 0; i < 300; i++) {
      const text = randomText(roll, ["<mask>", "</s>"]).replaceAll(/[\u0085\ufeff]/g, "");
      expect([text, ...tokenizer.encode(text)]).toEqual([text, ...twin.encode(text).ids]);
    }
  });
});

test("no files, and files that are no JSON", () => {
  expect(() => parseHfTokenizer({})).toThrow(coded("tokenizer.missing"));
  expect(() => parseHfTokenizer({ "tokenizer.json": "{" })).toThrow(coded("tokenizer.json"));
});

// biome-ignore lint/suspicious/noExplicitAny: a file may hold anything
type Json = any;

/** tokenizer.json with something changed. */
const changed = (change: (json: Json) => void): HfFiles => {
  const json: Json = JSON.parse(tinyFiles()["tokenizer.json"]);
  change(json);
  return { "tokenizer.json": JSON.stringify(json) };
};
const { "vocab.json": vocab, "merges.txt": merges } = tinyFiles();
const config = (value: unknown): HfFiles => ({
  "vocab.json": vocab,
  "merges.txt": merges,
  "tokenizer_config.json": JSON.stringify(value),
});

const badFiles: Record<string, [code: string, files: HfFiles]> = {
  nothing: ["tokenizer.missing", {}],
  "vocab.json without merges.txt": ["tokenizer.missing", { "vocab.json": vocab }],
  "cut off": ["tokenizer.json", { "tokenizer.json": tinyFiles()["tokenizer.json"].slice(0, -9) }],
  "nested too deep": ["tokenizer.json", { "tokenizer.json": "[".repeat(5_000_000) }],
  "a list": ["tokenizer.shape", { "tokenizer.json": "[]" }],
  "no model": ["tokenizer.shape", changed((json) => delete json.model)],
  "vocabulary is a list": ["tokenizer.shape", changed((json) => (json.model.vocab = []))],
  "merges are missing": ["tokenizer.shape", changed((json) => delete json.model.merges)],
  "added_tokens is an object": ["tokenizer.shape", changed((json) => (json.added_tokens = {}))],
  WordPiece: ["tokenizer.unsupported", changed((json) => (json.model.type = "WordPiece"))],
  "byte fallback": ["tokenizer.unsupported", changed((json) => (json.model.byte_fallback = true))],
  "a normalizer": ["tokenizer.unsupported", changed((json) => (json.normalizer = { type: "NFC" }))],
  "another pre-tokenizer": ["tokenizer.unsupported", changed((json) => (json.pre_tokenizer = { type: "Metaspace" }))],
  "no pre-tokenizer": ["tokenizer.unsupported", changed((json) => (json.pre_tokenizer = null))],
  "a template": ["tokenizer.unsupported", changed((json) => (json.post_processor = { type: "TemplateProcessing" }))],
  single_word: ["tokenizer.unsupported", changed((json) => (json.added_tokens[0].single_word = true))],
  "negative id": ["tokenizer.id", changed((json) => (json.model.vocab.the = -1))],
  "fractional id": ["tokenizer.id", changed((json) => (json.model.vocab.the = 1.5))],
  "id as text": ["tokenizer.id", changed((json) => (json.model.vocab.the = "12"))],
  "huge id": ["tokenizer.id", changed((json) => (json.model.vocab.the = 2 ** 40))],
  "two tokens with one id": ["tokenizer.duplicate", changed((json) => (json.model.vocab["0"] = 55))],
  "a hole": ["tokenizer.hole", changed((json) => (json.model.vocab.zzzz = 1001))],
  "an added token at another's id": ["tokenizer.duplicate", changed((json) => (json.added_tokens[0].id = 9))],
  "an added token twice": ["tokenizer.duplicate", changed((json) => json.added_tokens.push(json.added_tokens[0]))],
  "an added token without content": ["tokenizer.added", changed((json) => delete json.added_tokens[0].content)],
  "an added token of half a character": [
    "tokenizer.added",
    changed((json) => json.added_tokens.push({ id: 1000, content: "\ud83d" })),
  ],
  "a merge of one": ["tokenizer.merge", changed((json) => (json.model.merges[5] = "the"))],
  "a merge of three": ["tokenizer.merge", changed((json) => (json.model.merges[5] = "t h e"))],
  "a merge of an unknown token": ["tokenizer.merge", changed((json) => (json.model.merges[5] = "qqq z"))],
  "a merge that makes no token": ["tokenizer.merge", changed((json) => (json.model.merges[5] = "q z"))],
  "a merge that is a number": ["tokenizer.merge", changed((json) => (json.model.merges[5] = 5))],
  "a role without a token": ["tokenizer.role", config({ bos_token: "<none>" })],
  "added_tokens_decoder is a list": ["tokenizer.shape", config({ added_tokens_decoder: [] })],
  "added_tokens_decoder without content": ["tokenizer.added", config({ added_tokens_decoder: { 7: {} } })],
};

describe("bad files", () => {
  test.each(Object.entries(badFiles))("%s", (_, [code, files]) => {
    expect(() => parseHfTokenizer(files)).toThrow(coded(code));
  });
});

const badData: Record<string, [code: string, change: (data: Json) => void]> = {
  "no vocabulary": ["tokenizer.shape", (data) => delete data.vocabulary],
  "no merges": ["tokenizer.shape", (data) => delete data.merges],
  "no added": ["tokenizer.shape", (data) => delete data.added],
  "no roles": ["tokenizer.shape", (data) => delete data.roles],
  "no addPrefixSpace": ["tokenizer.shape", (data) => delete data.addPrefixSpace],
  "too many tokens": ["tokenizer.size", (data) => (data.vocabulary = new Array(2 ** 22 + 1))],
  "a token that is a number": ["tokenizer.hole", (data) => (data.vocabulary[300] = 300)],
  "an empty token": ["tokenizer.hole", (data) => (data.vocabulary[300] = "")],
  "a token twice": ["tokenizer.duplicate", (data) => data.vocabulary.push("Ġ")],
  "a raw space": ["tokenizer.alphabet", (data) => data.vocabulary.push("the end")],
  "a letter beyond the alphabet": ["tokenizer.alphabet", (data) => data.vocabulary.push("中")],
  "a byte without a token": ["tokenizer.bytes", (data) => (data.vocabulary[38] = "qqqq")],
  "an added token that is none": ["tokenizer.added", (data) => (data.added[0].id = 7)],
  "an added token that is null": ["tokenizer.added", (data) => (data.added[0] = null)],
  "an added token without flags": ["tokenizer.added", (data) => delete data.added[0].lstrip],
  "an added token beyond the end": ["tokenizer.added", (data) => (data.added[0].id = 1000)],
  "a role that is an object": ["tokenizer.role", (data) => (data.roles.eos_token = {})],
};

describe("bad data", () => {
  test.each(Object.entries(badData))("%s", (_, [code, change]) => {
    const data: Json = structuredClone(tinyData());
    change(data);
    expect(() => validateTokenizer(data)).toThrow(coded(code));
  });

  test.each([[undefined], [null], [5], ["text"], [[]]])("%j", (data) => {
    expect(() => validateTokenizer(data)).toThrow(coded("tokenizer.shape"));
  });
});

test("sound data passes, and what else is in it is dropped", () => {
  const data: TokenizerData & { other?: number } = { ...tinyData(), other: 1 };
  expect(validateTokenizer(data)).toEqual(tinyData());
});
