/**
 * `bun weights/recipe/choices.ts OUT`: three sets of four choices from text that the default model was not trained on, as
 * OUT/choices/NAME.yaml with OUT/choices/NAME/LANG.jsonl, for `lola eval tasks`. They ask which text goes on, or which one is
 * a translation: not what XNLI or Belebele ask. Needs OUT of build.ts, and apt-get and dpkg-deb: Debian or a container of it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { $ } from "bun";
import { declaration } from "../../src/evaluate/declaration.ts";
import { type Choice, choicesOf, halves, type Pair, some } from "./choice.ts";
import { cleanLines } from "./clean.ts";
import { labelOf, nameOf } from "./codes.ts";
import { isHeldOut, messageId } from "./corpus.ts";
import { families } from "./families.ts";
import { lettersOf } from "./message.ts";

/** Questions of a language that are kept, at most; fewer than `least` and the language is left out. */
const [most, least] = [200, 20];
/** Letters of English that a message must have. */
const messageLetters = 25;
/** Bytes of a continuation, at most: as many tokens, if its script is new to the tokenizer; the model reads 512. */
const longest = 500;

const out = process.argv[2];
if (!out || !existsSync(join(out, "corpus/heldout"))) {
  console.error("usage: bun weights/recipe/choices.ts OUT, where fetch.ts and build.ts have been");
  process.exit(2);
}
const folder = resolve(out, "choices");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const labels = readdirSync(join(out, "corpus/heldout"))
  .map((name) => name.replace(/\.jsonl$/, ""))
  .sort();

save(
  "udhr_continuation",
  "how a paragraph of the Declaration of Human Rights goes on after its middle",
  await continuations(),
);
save("message_translation", "which message of MediaWiki is the translation of an English one", translations());
save("emoji_name", "which name of an emoji has the meaning of an English one", await emojiNames());

async function continuations(): Promise<Map<string, Choice[]>> {
  const found = new Map<string, Choice[]>();
  for (const { language, text } of await declaration()) {
    const pairs = text
      .split("\n")
      .flatMap((paragraph) => halves(paragraph, "und") ?? [])
      .filter(({ answer }) => Buffer.byteLength(answer) <= longest);
    found.set(language, choicesOf(`udhr ${language}`, pairs));
  }
  return found;
}

/** Of messages of one line that are held out in all languages, and whose line is in the held-out text of the language. */
function translations(): Map<string, Choice[]> {
  const family = families.find(({ name }) => name === "mediawiki")!;
  const catalogues = family.catalogues(resolve(out!, "unpacked", family.name));
  const line = (text: string) => {
    const lines = cleanLines(text, true);
    return lines.length === 1 ? lines[0] : undefined;
  };
  const english = new Map<string, string>();
  for (const { locale, read } of catalogues)
    if (labelOf(locale) === "eng")
      for (const { name, messages } of read())
        for (const { key, text } of messages) {
          const cleaned = isHeldOut(text) ? line(text) : undefined;
          if (cleaned && lettersOf(cleaned).length >= messageLetters) english.set(messageId("", name, key), cleaned);
        }
  const pairs = new Map<string, Pair[]>();
  for (const { locale, read } of catalogues) {
    const label = labelOf(locale);
    if (!label || label === "eng" || !labels.includes(label)) continue;
    const own = pairs.get(label) ?? [];
    pairs.set(label, own);
    for (const { name, messages } of read())
      for (const { key, text } of messages) {
        const source = english.get(messageId("", name, key));
        const translated = source && line(text);
        if (translated) own.push({ text: asked(source, label), answer: translated });
      }
  }
  for (const [label, all] of pairs) {
    const heldOut = new Set(linesOf(join(out!, `corpus/heldout/${label}.jsonl`)));
    pairs.set(
      label,
      all.filter(({ answer }) => heldOut.has(answer)),
    );
  }
  return sets("message", pairs);
}

function asked(english: string, label: string): string {
  return `English: ${english}\n${nameOf(label)}:`;
}

function sets(name: string, pairs: ReadonlyMap<string, readonly Pair[]>): Map<string, Choice[]> {
  return new Map(Array.from(pairs, ([label, all]) => [label, choicesOf(`${name} ${label}`, all)] as const));
}

function linesOf(path: string): string[] {
  const rows = readFileSync(path, "utf8").trimEnd().split("\n");
  return rows.flatMap((row) => (JSON.parse(row) as { text: string }).text.split("\n"));
}

/** Names for screen readers (`type="tts"`) of CLDR, from Debian's unicode-cldr-core (Unicode's licence). */
async function emojiNames(): Promise<Map<string, Choice[]>> {
  const packages = resolve(out!, "packages");
  mkdirSync(packages, { recursive: true });
  await $`apt-get download -q=2 -t bookworm unicode-cldr-core`.cwd(packages);
  const file = readdirSync(packages).find((name) => name.startsWith("unicode-cldr-core_"))!;
  const unpacked = resolve(out!, "unpacked/cldr");
  mkdirSync(unpacked, { recursive: true });
  await $`dpkg-deb --fsys-tarfile ${file} | tar -x -C ${unpacked} --wildcards ${"*/annotations/*.xml"}`
    .cwd(packages)
    .quiet();
  const names = new Map<string, Map<string, string>>();
  for (const path of new Bun.Glob("**/annotations/*.xml").scanSync({ cwd: unpacked, absolute: true })) {
    const locale = basename(path, ".xml");
    const label = labelOf(locale.replaceAll("_", "-"));
    // A country's file has only what differs there; hi_Latn is written half in English.
    if (!label || !labels.includes(label) || (locale.includes("_") && !label.includes("_"))) continue;
    const found = readFileSync(path, "utf8").matchAll(/<annotation cp="([^"]+)" type="tts">([^<]+)</g);
    // What a language inherits is marked by arrows.
    names.set(
      label,
      new Map([...found].map(([, sign, name]) => [sign!, name!.trim()] as const).filter(([, name]) => name !== "↑↑↑")),
    );
  }
  const english = names.get("eng")!;
  names.delete("eng");
  const pairs = Array.from(names, ([label, own]) => {
    const known = [...own].filter(([sign, name]) => english.has(sign) && english.get(sign) !== name);
    return [label, known.map(([sign, name]) => ({ text: asked(english.get(sign)!, label), answer: name }))] as const;
  });
  return sets("emoji", new Map(pairs));
}

/** Writes the rows of each language, and the task that reads them. */
function save(name: string, about: string, all: ReadonlyMap<string, readonly Choice[]>): void {
  mkdirSync(join(folder, name));
  const kept = [...all]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([label, choices]) => {
      const rows = some(choices, most);
      if (rows.length < least) return [];
      writeFileSync(join(folder, name, `${label}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      return [{ label, count: rows.length }];
    });
  const continued = name === "udhr_continuation";
  writeFileSync(
    join(folder, `${name}.yaml`),
    `# ${about}: four choices of about the same length
task: ${name}_@{code}
dataset_kwargs:
  data_files: ${name}/@{code}.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: text
doc_to_choice: choices
doc_to_target: label
target_delimiter: "${continued ? "" : " "}"
metric_list:
  - metric: acc
  - metric: acc_norm
languages: [${kept.map(({ label }) => label).join(", ")}]
`,
  );
  console.log(`${name}: ${kept.length} languages, ${kept.reduce((sum, { count }) => sum + count, 0)} questions`);
}
