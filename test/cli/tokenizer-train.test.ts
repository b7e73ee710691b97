/** `lola tokenizer train`: what it writes, what it tells, what it refuses. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { folderOf, removeFolders } from "../data/support.ts";
import { home, lola, onTerminal } from "./lola.ts";

afterAll(removeFolders);

const paragraphs = (name: string, count: number) =>
  Array.from(
    { length: count },
    (_, i) => `Paragraph ${i} of ${name}, with ${i * i} in it: 日本語 ${"ไทย".repeat(i % 4)}.`,
  ).join("\n\n");
const corpus = folderOf({ "swa.txt": paragraphs("swa", 900), "deu/a.txt": paragraphs("deu", 60) });
let made = 0;
const folder = () => join(home, `tokenizer-${made++}`);

test("writes a tokenizer that the other actions use, the same each time", async () => {
  const [first, second] = [folder(), folder()];
  const options = ["--vocabulary", "400", "--validation", "0.1"];
  const ran = await lola(["tokenizer", "train", corpus, "-o", first, ...options, "--json"]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  const result = JSON.parse(ran.out);
  expect(result).toMatchObject({ folder: first, tokens: 400, languages: 2 });
  expect(result.fertility.map(({ language }: { language: string }) => language).toSorted()).toEqual(["deu", "swa"]);
  for (const { bytes, tokens, bytes_per_token } of result.fertility) expect(bytes_per_token).toBe(bytes / tokens);

  const again = await lola(["tokenizer", "train", corpus, "-o", second, ...options]);
  expect(again).toMatchObject({ code: 0, err: "" });
  expect(again.out).toMatch(/400 tokens from .+ of text in 2 languages.*worst +(swa|deu).*median.*best/s);
  const json = (dir: string) => readFileSync(join(dir, "tokenizer.json"), "utf8");
  expect(json(second)).toBe(json(first));

  const refused = await lola(["tokenizer", "train", corpus, "-o", first]);
  expect(refused).toMatchObject({ code: 2, out: "" });
  expect(refused.err).toContain("is not empty");
});

test("the mix of languages counts, not their sizes", async () => {
  const texts = folderOf({
    "aaa.txt": "quixotic zebra\n\n".repeat(50),
    "bbb.txt": "plain words here\n\n".repeat(5000),
  });
  const tokensOf = async (...options: string[]) => {
    const dir = folder();
    await lola(["tokenizer", "train", texts, "-o", dir, "--vocabulary", "270", "--validation", "0", ...options]);
    return JSON.stringify(JSON.parse(readFileSync(join(dir, "tokenizer.json"), "utf8")).model.merges);
  };
  const [bySize, alike, capped] = [
    await tokensOf("--alpha", "1"),
    await tokensOf("--alpha", "0"),
    await tokensOf("--cap", "500"),
  ];
  for (const letters of ["q", "z"]) {
    expect(bySize).not.toContain(letters);
    expect(alike).toContain(letters);
  }
  expect(capped).toBe(alike);
});

test("reads stdin", async () => {
  const dir = folder();
  const ran = await lola(["tokenizer", "train", "-", "-o", dir, "--vocabulary", "300"], {
    stdin: paragraphs("x", 400),
  });
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toContain("300 tokens");
});

test("misuse is 2, bad data 3, in one line", async () => {
  const bad = folderOf({ "swa.jsonl": '{"content": "x"}' });
  const cases: [code: number, args: string[], says: string][] = [
    [2, [], "missing the data"],
    [2, [corpus], "missing -o DIR"],
    [2, [join(corpus, "none"), "-o", folder()], "no such file or folder"],
    [2, [corpus, "-o", folder(), "--vocabulary", "100"], "--vocabulary"],
    [3, [bad, "-o", folder()], 'swa.jsonl line 1: no "text" that is a string; keys: content'],
    [2, ["-", "-o", folder()], "no text"],
  ];
  for (const [code, args, says] of cases) {
    const ran = await lola(["tokenizer", "train", ...args]);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.err).toMatch(/^lola: .+\n(try: .+\n)?$/);
    expect(ran.err).toContain(says);
  }
});

test("asks in a terminal for what is missing, and tells the command", async () => {
  const { code, shown } = await onTerminal(["tokenizer", "train", "-o", folder(), "--vocabulary", "300"], (text) =>
    text.includes("holds the text") ? `${corpus}\r` : undefined,
  );
  expect(code).toBe(0);
  expect(shown.replaceAll(/\s+/g, "")).toContain("sameas:lolatokenizertrain-o");
});
