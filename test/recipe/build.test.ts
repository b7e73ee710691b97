/** The whole recipe on a made-up package: what it writes, and that it writes the same again. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mo } from "./support.ts";

const root = join(import.meta.dir, "../..");
const out = mkdtempSync(join(tmpdir(), "lola-recipe-"));
afterAll(() => rmSync(out, { recursive: true }));

const letters = (i: number) => [...String(i)].map((digit) => "abcdefghij"[Number(digit)]).join("");

/** A program whose messages only differ in a word, in one language. */
function install(locale: string, sentence: (word: string) => string): void {
  const folder = join(out, "unpacked/vlc/vlc-l10n/usr/share/locale", locale, "LC_MESSAGES");
  mkdirSync(folder, { recursive: true });
  const entries = Array.from({ length: 800 }, (_, i) => `Please read about ${letters(i)} now`).sort();
  writeFileSync(join(folder, "vlc.mo"), mo(entries.map((text) => [text, sentence(text.split(" ")[3]!)])));
}

async function build(): Promise<{ code: number; summary: Record<string, unknown> }> {
  const command = [process.execPath, join(root, "weights/recipe/build.ts"), out, "--floor", "100", "--cap", "16000"];
  const run = Bun.spawn(command, { stdout: "pipe", stderr: "ignore" });
  const text = await new Response(run.stdout).text();
  return { code: await run.exited, summary: text ? (JSON.parse(text) as Record<string, unknown>) : {} };
}

test("build: rows by language, the cap, the Declaration, the same bytes again", async () => {
  expect((await build()).code).toBe(1);
  install("de", (word) => `Bitte lesen Sie jetzt über ${word} nach`);
  install("sr@latin", (word) => `Molimo pročitajte sada nešto o ${word} ovde`);
  const { code, summary } = await build();
  expect(code).toBe(0);
  expect(summary).toMatchObject({ languages: 3, withUdhr: 3 });
  const corpus = join(out, "corpus");
  const { rows } = JSON.parse(readFileSync(join(corpus, "languages.json"), "utf8")) as {
    rows: { code: string; name: string; family: string[]; trainBytes: number; availableBytes: number; udhr: string }[];
  };
  expect(rows.map((row) => row.code)).toEqual(["deu", "eng", "srp_Latn"]);
  expect(rows[0]).toMatchObject({ name: "German", family: ["gmw", "gem", "ine"], udhr: "deu_1996" });
  for (const { code, trainBytes, availableBytes } of rows) {
    expect(trainBytes).toBeLessThanOrEqual(16000);
    expect(availableBytes).toBeGreaterThan(16000);
    const documents = ["train", "heldout"].map((part) =>
      readFileSync(join(corpus, part, `${code}.jsonl`), "utf8")
        .trim()
        .split("\n")
        .map((row) => JSON.parse(row) as { text: string; lang: string }),
    );
    expect(documents.flat().every(({ lang }) => lang === code)).toBe(true);
    const [train, heldOut] = documents.map((some) => new Set(some.flatMap(({ text }) => text.split("\n"))));
    expect(heldOut!.size).toBeGreaterThan(0);
    expect(train!.isDisjointFrom(heldOut!)).toBe(true);
  }
  expect(readFileSync(join(corpus, "udhr/deu.txt"), "utf8")).toContain("Alle Menschen sind frei");
  expect((await build()).summary).toEqual(summary);
});
