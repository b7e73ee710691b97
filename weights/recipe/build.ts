/** `bun weights/recipe/build.ts OUT [--cap BYTES] [--floor BYTES]`: makes the corpus of what `fetch.ts` put into OUT. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Sha256 } from "../../src/base/hash.ts";
import { labelOf, nameOf } from "./codes.ts";
import { type Context, capped, type Document, type Drops, makeLanguage, messageId } from "./corpus.ts";
import { WordCounts } from "./english.ts";
import { type Catalogue, families } from "./families.ts";
import { familyPath } from "./tree.ts";
import { declarationFor, declarations, NearDuplicates } from "./udhr.ts";

/** Languages whose lines turn up untranslated in others, largest first: each is made before the languages it leaks into. */
const majors = "eng rus deu fra spa por ita zho hin ara tur nld ukr pol ind fas jpn swe ron ces".split(" ");

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { cap: { type: "string", default: "1500000" }, floor: { type: "string", default: "150000" } },
});
const out = positionals[0];
const [cap, floor] = [Number(flags.cap), Number(flags.floor)];
if (!out || !(cap > 0) || !(floor >= 0)) {
  console.error(
    "usage: bun weights/recipe/build.ts OUT [--cap BYTES a language may have] [--floor BYTES it must have]",
  );
  process.exit(2);
}

const byLabel = new Map<string, Catalogue[]>();
const unknown = new Set<string>();
for (const family of families) {
  for (const catalogue of family.catalogues(resolve(out, "unpacked", family.name))) {
    const label = labelOf(catalogue.locale);
    if (label) byLabel.set(label, [...(byLabel.get(label) ?? []), catalogue]);
    else unknown.add(catalogue.locale);
  }
}
if (byLabel.size === 0) {
  console.error(`nothing unpacked under ${out}; try: bun weights/recipe/fetch.ts ${out}`);
  process.exit(1);
}
console.error(`${byLabel.size} languages; left out: ${[...unknown].join(" ")}`);

const english = new Map<string, string>();
for (const { family, read } of byLabel.get("eng") ?? []) {
  for (const file of read())
    for (const message of file.messages) english.set(messageId(family, file.name, message.key), message.text);
}
const known = new Map<string, string>();
const englishWords = new WordCounts();
const context: Context = { english, englishWords, known };
const declared = declarations();

const finished = resolve(out, "corpus");
const work = `${finished}.part`;
rmSync(work, { recursive: true, force: true });
for (const folder of ["train", "heldout", "udhr"]) mkdirSync(join(work, folder), { recursive: true });

/** A row of `languages.json`. */
interface Row {
  code: string;
  name: string;
  script: string;
  /** ISO 639-5 groups, narrowest first. */
  family: string[];
  trainBytes: number;
  heldOutBytes: number;
  documents: number;
  /** Before the cap. */
  availableBytes: number;
  bytesByFamily: Record<string, number>;
  /** The declaration of the `udhr` package in `udhr/CODE.txt`. */
  udhr: string | null;
  drops: Drops;
}

const bytesOf = (documents: readonly Document[]) =>
  documents.reduce((sum, { text }) => sum + Buffer.byteLength(text) + 1, 0);
const rows: Row[] = [];
const hash = new Sha256();
const labels = [...byLabel.keys()].sort();
for (const label of [...majors, ...labels.filter((label) => !majors.includes(label))]) {
  const own = declared.filter(({ language }) => language === label.split("_")[0]);
  const language = makeLanguage(
    label,
    byLabel.get(label) ?? [],
    context,
    new NearDuplicates(own.map(({ text }) => text)),
  );
  if (!language) continue;
  if (majors.includes(label)) {
    for (const letters of language.letters) if (!known.has(letters)) known.set(letters, label);
  }
  if (label === "eng") for (const { text } of language.documents) englishWords.add(text);
  const available = language.documents.filter(({ heldOut }) => !heldOut);
  const train = capped(available, cap);
  if (bytesOf(train) < floor) continue;
  const heldOut = capped(
    language.documents.filter(({ heldOut }) => heldOut),
    cap / 10,
  );
  for (const [folder, documents] of [
    ["train", train],
    ["heldout", heldOut],
  ] as const) {
    const jsonl = documents.map(({ text }) => `${JSON.stringify({ text, lang: label })}\n`).join("");
    await Bun.write(join(work, folder, `${label}.jsonl`), jsonl);
    hash.update(`${folder}/${label}\n${jsonl}`);
  }
  const declaration = declarationFor(own, label, language.script);
  if (declaration) await Bun.write(join(work, "udhr", `${label}.txt`), declaration.text);
  const bytesByFamily: Record<string, number> = {};
  for (const document of train) {
    bytesByFamily[document.family] = (bytesByFamily[document.family] ?? 0) + Buffer.byteLength(document.text) + 1;
  }
  rows.push({
    code: label,
    name: nameOf(label),
    script: language.script,
    family: familyPath(label),
    trainBytes: bytesOf(train),
    heldOutBytes: bytesOf(heldOut),
    documents: train.length,
    availableBytes: bytesOf(available),
    bytesByFamily,
    udhr: declaration?.code ?? null,
    drops: language.drops,
  });
}
rows.sort((a, b) => (a.code < b.code ? -1 : 1));
const sum = (value: (row: Row) => number) => rows.reduce((total, row) => total + value(row), 0);
const summary = {
  languages: rows.length,
  withUdhr: rows.filter((row) => row.udhr).length,
  atLeast100KB: rows.filter((row) => row.trainBytes >= 1e5).length,
  trainBytes: sum((row) => row.trainBytes),
  heldOutBytes: sum((row) => row.heldOutBytes),
  udhrLinesDropped: sum((row) => row.drops.udhr),
  cap,
  floor,
  sha256: hash.hex(),
};
await Bun.write(join(work, "languages.json"), `${JSON.stringify({ ...summary, rows }, null, 1)}\n`);
const old = `${finished}.old`;
rmSync(old, { recursive: true, force: true });
if (existsSync(finished)) renameSync(finished, old);
renameSync(work, finished);
rmSync(old, { recursive: true, force: true });
console.log(JSON.stringify(summary, null, 1));
