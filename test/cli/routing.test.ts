/** `lola routing` as a command: what it reads, writes, refuses, and leaves behind when it is stopped. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { readCollection } from "../../src/routing/folder.ts";
import { commandLine, environment, home, lola } from "./lola.ts";

const folder = mkdtempSync(join(home, "routing-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const engine = ["--device", "cpu", "--threads", "1"];
const collect = (name: string, ...more: string[]) =>
  lola(["routing", "collect", "-o", at(name), ...engine, ...more], { cwd: folder });

mkdirSync(at("texts"));
writeFileSync(at("texts/swa.txt"), "Watu wote wamezaliwa huru.\n\nHadhi na haki zao ni sawa.\n");
writeFileSync(
  at("texts/mixed.jsonl"),
  '{"text": "Alle Menschen", "lang": "deu"}\n{"text": "Bantu nyonso", "lang": "lin"}\n',
);

test("texts of folders and JSONL: a collection, every token, languages compared", async () => {
  const ran = await collect("run", "--json", "--tokens", "tokens.tsv.zst", "texts");
  expect(ran).toMatchObject({ code: 0, err: "" });
  const told = JSON.parse(ran.out) as { path: string; tokens: number; languages: unknown[]; layers: unknown[] };
  expect(told).toMatchObject({ documents: 4, texts: "texts", tokens_path: "tokens.tsv.zst" });
  const collection = readCollection(at("run"));
  expect(collection.languages.map(({ language, documents }) => [language, documents])).toEqual([
    ["deu", 1],
    ["lin", 1],
    ["swa", 2],
  ]);
  expect(told.layers).toHaveLength(collection.layers.length);
  const lines = zstdDecompressSync(readFileSync(at("tokens.tsv.zst")))
    .toString()
    .trim()
    .split("\n");
  expect(lines).toHaveLength(1 + told.tokens);
  // The table and the counts tell the same.
  const [first] = collection.languages;
  const rows = lines.filter((line) => line.startsWith("deu\t")).map((line) => line.split("\t").map(Number));
  for (const [layer, counts] of first!.counts.entries())
    for (const [e, count] of counts.entries()) expect(rows.filter((row) => row[3 + layer] === e)).toHaveLength(count);

  const compared = await lola(["routing", "diff", at("run"), "--lang", "swa,lin", "--json"]);
  expect(compared.code).toBe(0);
  expect(JSON.parse(compared.out)).toMatchObject({ languages: ["swa", "lin"] });
  const shown = await lola(["routing", "diff", at("run"), at("run")]);
  expect(shown).toMatchObject({ code: 0, err: "" });
  expect(shown.out).toStartWith("3 languages in both, distance 0.0000 on average");
});

test("the Declaration, some languages, a limit of bytes", async () => {
  const ran = await collect("some", "udhr:swa,deu", "--max-bytes", "300");
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toContain("2 languages, 2 documents, 600 B");
  // What is there is not replaced unasked.
  const again = await collect("some", "udhr:swa", "--max-bytes", "300");
  expect([again.code, again.err]).toEqual([2, expect.stringContaining("routing.json exists")]);
  expect(readCollection(at("some")).languages).toHaveLength(2);
  expect((await collect("some", "udhr:swa", "--max-bytes", "300", "--force")).code).toBe(0);
  expect(readCollection(at("some")).languages).toHaveLength(1);
});

test("misuse and files that are none: one line and its code", async () => {
  writeFileSync(at("none.json"), "{}");
  writeFileSync(at("empty.txt"), "\n");
  for (const [code, why, args] of [
    [2, "missing -o FOLDER", ["collect", "udhr"]],
    [2, "no such file or folder", ["collect", "nowhere", "-o", at("x")]],
    [3, "no text in it", ["collect", at("empty.txt"), "-o", at("x")]],
    [2, "diff takes one or two collections", ["diff"]],
    [2, "--lang names the two languages", ["diff", at("run")]],
    [2, "--lang compares languages of one collection", ["diff", at("run"), at("run"), "--lang", "a,b"]],
    [2, "no language xxx", ["diff", at("run"), "--lang", "swa,xxx"]],
    [2, "no such file", ["diff", at("nowhere"), "--lang", "a,b"]],
    [3, "no collection of format 1", ["diff", at("none.json"), "--lang", "a,b"]],
  ] as const) {
    const ran = await lola(["routing", ...args]);
    expect([ran.code, ran.err, ran.out]).toEqual([code, expect.stringContaining(why), ""]);
    expect(ran.err.trim().split("\n").length).toBeLessThanOrEqual(2);
  }
  expect(existsSync(at("x"))).toBe(false);
});

test("Ctrl-C leaves nothing half-written", async () => {
  const args = ["routing", "collect", "udhr", "-o", at("stopped"), "--tokens", at("stopped.tsv.zst"), ...engine];
  const child = Bun.spawn(commandLine(args), { env: environment(), stdout: "ignore", stderr: "ignore" });
  // The table is begun under another name.
  const begun = () => readdirSync(folder).some((name) => name.includes("stopped.tsv.zst"));
  while (!begun()) await Bun.sleep(20);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(readdirSync(folder).filter((name) => name.includes("stopped"))).toEqual([]);
});
