/** Files of examples → tokens: every format and kind, what counts, what is too long, which side, what is told. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { idOf, isCounted } from "../../src/data/example-tokens.ts";
import { type ExampleOptions, type ExampleSet, openExamples } from "../../src/data/examples.ts";
import { exampleFormats } from "../../src/data/formats/read.ts";
import { previewExamples } from "../../src/data/preview.ts";
import { findSources } from "../../src/data/sources.ts";
import { coded, EOS, exampleOptions, folderOf, piped, removeFolders } from "./support.ts";

afterAll(removeFolders);

const { tokenizer } = exampleOptions();

async function open(files: Record<string, string | Uint8Array>, more: Partial<ExampleOptions> = {}) {
  const folder = folderOf(files);
  const paths = Object.keys(files).map((name) => join(folder, name));
  const sources = await findSources(paths, folderOf({}), undefined, exampleFormats);
  return openExamples(sources, exampleOptions({ validation: 0, ...more }));
}

async function openStdin(...content: (string | Uint8Array)[]) {
  const sources = await findSources(["-"], folderOf({}), () => piped(...content), exampleFormats);
  return openExamples(sources, exampleOptions({ validation: 0 }));
}

/** Each example as text, what counts in ‹ ›. */
function marked(set: ExampleSet): string[] {
  return previewExamples(set, tokenizer, 1e9).map(({ pieces }) =>
    pieces.map(({ text, counts }) => (counts ? `‹${text}›` : text)).join(""),
  );
}

const lines = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");

const pair = { prompt: "Habari?", completion: "Nzuri!" };
const pairs = ["Habari?‹Nzuri!<|endoftext|>›"];
const system = { role: "system", content: "Be brief." };
const talk = [
  { role: "user", content: "Habari?" },
  { role: "assistant", content: "Nzuri!" },
  { role: "user", content: "Na wewe?" },
  { role: "assistant", content: "Pia." },
];
const opening =
  "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n";
const ask = (question: string) => `### Instruction:\n${question}\n\n### Response:`;
const told = `${ask("Habari?")}‹Nzuri!<|endoftext|>›${ask("Na wewe?")}‹Pia.<|endoftext|>›`;

describe("kinds", () => {
  test("text counts whole", async () => {
    expect(marked(await open({ "a.jsonl": lines({ text: "Habari" }) }))).toEqual(["‹Habari<|endoftext|>›"]);
  });

  test("of prompt and completion the completion counts, both verbatim", async () => {
    const verbatim = { prompt: " {instruction} $& ", completion: "\n{input}\n" };
    expect(marked(await open({ "a.jsonl": lines(pair, verbatim) }))).toEqual([
      ...pairs,
      " {instruction} $& ‹\n{input}\n<|endoftext|>›",
    ]);
  });

  test("Alpaca's instructions get LOLA's prompts, with an input and without", async () => {
    const rows = [
      { instruction: "Translate {input} & $1.", input: "Habari", output: "Hello" },
      { instruction: "Name a colour.", input: "", output: "Blue" },
      { instruction: "Name a fruit.", input: null, output: "Fig" },
      { instruction: "Name a tree.", output: "Fig" },
    ];
    const paired = opening.replace("task.", "task, paired with an input that provides further context.");
    expect(marked(await open({ "a.jsonl": lines(...rows) }))).toEqual([
      `${paired}### Instruction:\nTranslate {input} & $1.\n\n### Input:\nHabari\n\n### Response:‹Hello<|endoftext|>›`,
      `${opening}${ask("Name a colour.")}‹Blue<|endoftext|>›`,
      `${opening}${ask("Name a fruit.")}‹Fig<|endoftext|>›`,
      `${opening}${ask("Name a tree.")}‹Fig<|endoftext|>›`,
    ]);
  });

  test("of messages each answer counts; a system turn stands for the opening", async () => {
    expect(marked(await open({ "a.jsonl": lines({ messages: talk }, { messages: [system, ...talk] }) }))).toEqual([
      `${opening}${told}`,
      `Be brief.\n\n${told}`,
    ]);
  });

  test("ShareGPT's conversations are the same by other names", async () => {
    const names = { system: "system", user: "human", assistant: "gpt" } as Record<string, string>;
    const conversations = [system, ...talk].map(({ role, content }) => ({ from: names[role], value: content }));
    expect(marked(await open({ "a.jsonl": lines({ id: "x", conversations }) }))).toEqual([`Be brief.\n\n${told}`]);
  });

  test("prompts count with trainOnPrompt, and then everything does", async () => {
    for (const row of [pair, { messages: [system, ...talk] }, { instruction: "a", output: "b" }]) {
      const { tokens } = await open({ "a.jsonl": lines(row) }, { trainOnPrompt: true });
      expect([...tokens.words].every(isCounted)).toBe(true);
    }
  });

  test("other keys are left out; of several kinds the most telling is taken", async () => {
    const row = { id: 7, text: "formatted", ...pair, instruction: "a", output: "b", extra: null };
    const { summary } = await open({ "a.jsonl": lines(row) });
    expect(summary.files[0]!.kind).toBe("alpaca");
  });

  test("each file has its own, and is told", async () => {
    const { summary } = await open({
      "a.jsonl": lines(pair, pair),
      "b.json": JSON.stringify([{ messages: talk }]),
      "c.txt": "one\n\ntwo\n\nthree",
      "d.txt": "",
    });
    const facts = summary.files.map(({ label, kind, examples }) => [label.split("/").at(-1), kind, examples]);
    expect(facts).toEqual([
      ["a.jsonl", "completion", 2],
      ["b.json", "messages", 1],
      ["c.txt", "text", 3],
      ["d.txt", undefined, 0],
    ]);
  });
});

describe("formats", () => {
  const row = JSON.stringify(pair);
  const columns = (codec: "SNAPPY" | "UNCOMPRESSED") =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "id", data: [1, 2, 3], type: "INT32" },
          { name: "prompt", data: ["Habari?", "Jambo?", "Vipi?"] },
          { name: "completion", data: ["Nzuri!", "Jambo!", "Poa!"] },
        ],
        rowGroupSize: 2,
        codec,
      }),
    );
  const three = [...pairs, "Jambo?‹Jambo!<|endoftext|>›", "Vipi?‹Poa!<|endoftext|>›"];
  const files: Record<string, [string | Uint8Array, string[]]> = {
    "a.jsonl": [`${row}\n\n${row}`, [...pairs, ...pairs]],
    "a.ndjson": [`\ufeff${row}\r\n${row}\r\n`, [...pairs, ...pairs]],
    "list.json": [`\ufeff[${row}, ${row}]\n`, [...pairs, ...pairs]],
    "empty strings within.json": [
      '[{"prompt": "a\\"]}\\\\", "completion": "b", "x": [{}, []]}]',
      ['a"]}\\‹b<|endoftext|>›'],
    ],
    "around.json": [`{"version": "1.0", "data": [${row}], "meta": {"list": [1]}}`, pairs],
    "lines.json": [`${row}\n${row}\n`, [...pairs, ...pairs]],
    "one.json": [JSON.stringify(pair, null, 2), pairs],
    "a.csv": [
      'prompt,id,completion\r\nHabari?,1,Nzuri!\r\n\r\n"a, ""b""\nc",2,d\r\n',
      [...pairs, 'a, "b"\nc‹d<|endoftext|>›'],
    ],
    "semicolon.csv": ["\ufeffprompt;completion\nHabari?;Nzuri!", pairs],
    "a.tsv": ["prompt\tcompletion\nHabari?\tNzuri!\n", pairs],
    "one-column.csv": ["text\nHabari\n", ["‹Habari<|endoftext|>›"]],
    "snappy.parquet": [columns("SNAPPY"), three],
    "plain.parquet": [columns("UNCOMPRESSED"), three],
    "a.txt": ["Habari\nya asubuhi\n\n\nNzuri\n", ["‹Habari\nya asubuhi<|endoftext|>›", "‹Nzuri<|endoftext|>›"]],
    "other.md": ["Habari", ["‹Habari<|endoftext|>›"]],
    "a.jsonl.gz": [gzipSync(row), pairs],
    "a.json.zst": [zstdCompressSync(`[${row}]`), pairs],
    "a.csv.gz": [gzipSync("prompt,completion\nHabari?,Nzuri!"), pairs],
  };
  test.each(Object.entries(files))("%s", async (name, [content, wanted]) => {
    expect(marked(await open({ [name]: content }))).toEqual(wanted);
  });

  test("a folder holds all of them, and nothing else", async () => {
    const folder = folderOf({
      "swa/a.jsonl": row,
      "b.parquet": columns("SNAPPY"),
      "README.md": "x",
      "c.tsv": files["a.tsv"]![0],
    });
    const sources = await findSources([folder], folderOf({}), undefined, exampleFormats);
    const { summary } = await openExamples(sources, exampleOptions({ validation: 0 }));
    expect(summary.files.map(({ examples }) => examples)).toEqual([3, 1, 1]);
    expect(summary.languages.map(({ language }) => language)).toEqual(["swa", "und"]);
  });

  test.each([
    "a.jsonl",
    "list.json",
    "around.json",
    "a.csv",
    "a.tsv",
    "snappy.parquet",
    "a.txt",
    "a.jsonl.gz",
    "a.json.zst",
  ])("%s from stdin", async (name) => {
    const [content, wanted] = files[name]!;
    const bytes = Buffer.from(content);
    // Blank lines may stand before anything that is text and has no byte order mark.
    const before = typeof content !== "string" || content.startsWith("\ufeff") ? "" : " \n";
    expect(marked(await openStdin(before, bytes.subarray(0, 5), bytes.subarray(5)))).toEqual(wanted);
  });

  /** How other programs pack the pages of Parquet files. */
  const codecs = { GZIP: gzipSync, ZSTD: zstdCompressSync, BROTLI: brotliCompressSync };
  test.each(Object.entries(codecs))("Parquet with %s", async (codec, pack) => {
    const columnData = [{ name: "text", data: Array.from({ length: 500 }, (_, i) => `Habari ${i % 7}`) }];
    const compressors = { [codec]: (bytes: Uint8Array) => new Uint8Array(pack(bytes)) };
    const file = parquetWriteBuffer({ columnData, codec: codec as keyof typeof codecs, compressors });
    const texts = marked(await open({ "a.parquet": new Uint8Array(file) }));
    expect(texts).toEqual(columnData[0]!.data.map((text) => `‹${text}<|endoftext|>›`));
  });

  test("Parquet's lists of turns, as pyarrow 25 writes them, are turns", async () => {
    const set = await open({ "a.parquet": readFileSync(join(import.meta.dir, "turns.parquet")) });
    expect(marked(set)).toEqual(
      Array.from({ length: 6 }, (_, i) => `${opening}${ask(`Habari ${i}?`)}‹Nzuri ${i}!<|endoftext|>›`),
    );
    expect(set.summary.languages.map(({ language }) => language)).toEqual(["swa", "und", "yor", "zul"]);
  });
});

describe("the wording of prompts", () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ instruction: `Count to ${i}.`, output: `… ${i}!` }));
  const targets = ({ tokens }: ExampleSet) => [...tokens.words].filter(isCounted).map(idOf);

  test("changes neither what is learnt nor how much", async () => {
    const plain = await open({ "a.jsonl": lines(...rows) });
    const reworded = rows.map(({ instruction, output }) => ({
      instruction: `Please: ${instruction} Thank you!`,
      output,
    }));
    const other = await open({ "a.jsonl": lines(...reworded) });
    const template = { name: "bare", instructions: { plain: "{instruction}\n", input: "{input}\n{instruction}\n" } };
    const bare = await open({ "a.jsonl": lines(...rows) }, { template });
    for (const set of [other, bare]) {
      expect(targets(set)).toEqual(targets(plain));
      expect(set.tokens.words.length).not.toBe(plain.tokens.words.length);
    }
    expect(targets(plain)).toEqual(rows.flatMap(({ output }) => [...tokenizer.encode(output), EOS]));
  });
});

describe("examples longer than the context", () => {
  const rows = [10, 11, 12, 13, 40].map((size) => ({ prompt: "aQ".repeat(10), completion: "xQ".repeat(size) }));
  const file = { "a.jsonl": lines(pair, ...rows) };
  const lengthOf = ({ prompt, completion }: typeof pair) =>
    tokenizer.encode(prompt).length + tokenizer.encode(completion).length + 1;
  const lengths = [pair, ...rows].map(lengthOf);
  const context = lengths.toSorted((a, b) => a - b)[3]!;
  const longer = lengths.filter((length) => length > context).length;

  test("are refused, the longest named", async () => {
    const opening = open(file, { context });
    await expect(opening).rejects.toEqual(coded("data.long"));
    await expect(opening).rejects.toThrow(
      `${longer} of 6 examples are longer than the context of ${context} tokens; the longest, `,
    );
    await expect(opening).rejects.toThrow(`a.jsonl line 6, has ${Math.max(...lengths)}`);
    expect((await open(file, { context: Math.max(...lengths) })).train.length).toBe(6);
  });

  test("are dropped", async () => {
    const { train, summary, tokens } = await open(file, { context, tooLong: "drop" });
    expect([train.length, summary.tooLong, summary.dropped]).toEqual([6 - longer, longer, longer]);
    expect(summary.longest.tokens).toBe(Math.max(...lengths));
    expect(tokens.words.length).toBe(lengths.filter((length) => length <= context).reduce((a, b) => a + b));
  });

  test("are cut, an eos that does not count at the end; without anything to learn they are dropped", async () => {
    const { tokens, summary } = await open(file, { context, tooLong: "truncate" });
    expect([summary.tooLong, summary.dropped]).toEqual([longer, 0]);
    const all = Array.from(tokens.starts.subarray(1), (end, i) => [...tokens.words.subarray(tokens.starts[i], end)]);
    all.forEach((words, i) => {
      expect(words.length).toBe(Math.min(lengths[i]!, context));
      expect(idOf(words.at(-1)!)).toBe(EOS);
      expect(isCounted(words.at(-1)!)).toBe(lengths[i]! <= context);
    });
    const short = tokenizer.encode("Habari?").length + 1;
    const cut = await open(
      { "a.jsonl": lines(pair, { text: "x" }).split("\n")[0]! },
      { context: short + 1, tooLong: "truncate" },
    );
    expect(cut.summary.dropped).toBe(0);
    const none = open({ "a.jsonl": lines(pair) }, { context: short, tooLong: "truncate" });
    await expect(none).rejects.toEqual(coded("data.long"));
  });
});

describe("sides", () => {
  const rows = Array.from({ length: 2000 }, (_, i) => ({
    prompt: `${i}`,
    completion: `${i * i}`,
    lang: ["swa", "yor"][i % 2],
  }));
  const held = (set: ExampleSet) => new Set(previewTexts(set, set.validation));
  const previewTexts = ({ tokens }: ExampleSet, numbers: Uint32Array) =>
    Array.from(numbers, (i) =>
      tokenizer.decode(Array.from(tokens.words.subarray(tokens.starts[i], tokens.starts[i + 1]), idOf)),
    );

  test("are told by content: about the share, the same in another order, among others, with another template", async () => {
    const set = await open({ "a.jsonl": lines(...rows) }, { validation: 0.05 });
    // Four standard deviations of 100.
    expect(Math.abs(set.validation.length - 100)).toBeLessThan(40);
    expect([...set.train, ...set.validation].sort((a, b) => a - b)).toEqual(rows.map((_, i) => i));
    const reversed = await open({ "a.jsonl": lines(...rows.toReversed()) }, { validation: 0.05 });
    expect(held(reversed)).toEqual(held(set));
    const half = await open({ "a.jsonl": lines(...rows.slice(0, 1000)) }, { validation: 0.05 });
    expect(held(half).isSubsetOf(held(set))).toBe(true);
    expect(set.summary.languages.map(({ validation }) => validation.examples).reduce((a, b) => a + b)).toBe(
      set.validation.length,
    );
  });

  test("of few examples hold one, of one none, of none none", async () => {
    for (const count of [2, 3, 10]) {
      const { train, validation } = await open({ "a.jsonl": lines(...rows.slice(0, count)) }, { validation: 0.0001 });
      expect([train.length, validation.length]).toEqual([count - 1, 1]);
      const most = await open({ "a.jsonl": lines(...rows.slice(0, count)) }, { validation: 0.9999 });
      expect([most.train.length, most.validation.length]).toEqual([1, count - 1]);
    }
    const one = await open({ "a.jsonl": lines(pair) }, { validation: 0.5 });
    expect([one.train.length, one.validation.length]).toEqual([1, 0]);
    const equal = await open({ "a.jsonl": lines(pair, pair, pair) }, { validation: 0.5 });
    expect([equal.train.length, equal.validation.length]).toEqual([3, 0]);
    const nothing = await open({ "a.jsonl": lines(...rows) }, { validation: 0 });
    expect(nothing.validation.length).toBe(0);
  });
});

test("what is told: languages by lang, else by file, their examples, tokens and targets; the longest", async () => {
  const { summary } = await open({
    "swa.jsonl": lines(pair, { ...pair, lang: "yor" }, { ...pair, lang: null }, { ...pair, lang: "" }),
    "zul.jsonl": lines({ text: "Sawubona, unjani?" }),
  });
  const [prompt, completion] = [tokenizer.encode("Habari?").length, tokenizer.encode("Nzuri!").length + 1];
  const text = tokenizer.encode("Sawubona, unjani?").length + 1;
  const none = { examples: 0, tokens: 0, counted: 0 };
  expect(summary.languages).toEqual([
    {
      language: "swa",
      kept: false,
      train: { examples: 3, tokens: 3 * (prompt + completion), counted: 3 * completion },
      validation: none,
    },
    {
      language: "yor",
      kept: false,
      train: { examples: 1, tokens: prompt + completion, counted: completion },
      validation: none,
    },
    { language: "zul", kept: false, train: { examples: 1, tokens: text, counted: text }, validation: none },
  ]);
  expect(summary.longest.tokens).toBe(Math.max(prompt + completion, text));
  expect(summary.longest.where).toEndWith("zul.jsonl line 1");
});

test("names of special tokens in examples are text", async () => {
  const row = { prompt: "a<|endoftext|>", completion: "<|endoftext|>b" };
  const { tokens } = await open({ "a.jsonl": lines(row) });
  expect([...tokens.words].map(idOf).filter((id) => id === EOS)).toHaveLength(1);
});

test("the identity changes with tokens, marks and sides, and with nothing else", async () => {
  const rows = Array.from({ length: 30 }, (_, i) => ({ prompt: `${i}`, completion: "b" }));
  const first = await open({ "a.jsonl": lines(...rows) });
  expect((await open({ "b.json": JSON.stringify(rows) })).identity).toBe(first.identity);
  const others = [
    await open({ "a.jsonl": lines(...rows.toReversed()) }),
    await open({ "a.jsonl": lines(...rows) }, { trainOnPrompt: true }),
    await open({ "a.jsonl": lines(...rows) }, { validation: 0.3 }),
    await open({ "a.jsonl": lines(...rows.map((row) => ({ ...row, lang: row.prompt === "7" ? "swa" : "yor" }))) }),
  ];
  expect(new Set([first, ...others].map(({ identity }) => identity)).size).toBe(5);
});

test("progress is told every thousand", async () => {
  const seen: number[] = [];
  const file = { "a.jsonl": lines(...Array.from({ length: 2500 }, () => pair)) };
  await open(file, { onProgress: (examples) => seen.push(examples) });
  expect(seen).toEqual([1000, 2000]);
});
