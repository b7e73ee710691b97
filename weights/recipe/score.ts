/**
 * `bun weights/recipe/score.ts OUT MODEL`: bits per byte of each Declaration by a model, beside the baselines; needs
 * OUT/baselines.json. Writes OUT/scores.json and prints the model card's table.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openDevice } from "../../src/device/choose.ts";
import { numbered, scoreDocuments } from "../../src/evaluate/text.ts";
import { Likelihood } from "../../src/model/likelihood.ts";
import { loadModel, openSource } from "../../src/model/open.ts";

interface Row {
  code: string;
  trainBytes: number;
  xz: number;
  ngram5: number;
  ngram6: number;
  model: number;
}

const [out, path] = process.argv.slice(2);
if (!out || !path) {
  console.error("usage: bun weights/recipe/score.ts OUT MODEL");
  process.exit(2);
}
const baselines = JSON.parse(readFileSync(join(out, "baselines.json"), "utf8")) as { rows: Omit<Row, "model">[] };
const languages = JSON.parse(readFileSync(join(out, "corpus/languages.json"), "utf8")) as {
  rows: { code: string; name: string }[];
};
const names = new Map(languages.rows.map(({ code, name }) => [code, name]));
const { device } = await openDevice("cpu");
const source = openSource(path);
const model = loadModel(device, source);
const { eos, vocabulary, context } = model.config;
const likelihood = new Likelihood(device, model.config, model.weights, 4);
const documents = baselines.rows.map(({ code }) => ({
  language: code,
  text: readFileSync(join(out, "corpus/udhr", `${code}.txt`), "utf8"),
}));
const bits = new Map<string, number>();
await scoreDocuments(
  likelihood,
  model.tokenizer,
  numbered(documents),
  { eos, vocabulary, context, stride: context / 16 },
  {
    done: (sample) => bits.set(sample.language, sample.bits / sample.bytes),
    progress: (bytes) => console.error(`${bytes} bytes`),
  },
);
const rows = baselines.rows.map((row): Row => ({ ...row, model: bits.get(row.code)! }));
device.close();

const below = (bar: (row: Row) => number) => rows.filter((row) => row.model < bar(row)).length;
const beaten = {
  xz: below(({ xz }) => xz),
  ngram5: below(({ ngram5 }) => ngram5),
  ngram6: below(({ ngram6 }) => ngram6),
  all: below((row) => Math.min(row.xz, row.ngram5, row.ngram6)),
};
await Bun.write(join(out, "scores.json"), `${JSON.stringify({ model: source.identity, beaten, rows }, null, 1)}\n`);
console.log(`${rows.length} languages; better than xz in ${beaten.xz}, than the n-grams in ${beaten.ngram5} (5 bytes)`);
console.log(`and ${beaten.ngram6} (6 bytes), than all of them in ${beaten.all}\n`);
console.log("| language | training text | model | `xz -9e` | 5-gram | 6-gram |\n|---|---|---|---|---|---|");
for (const { code, trainBytes, ...row } of rows.sort((a, b) => a.model - b.model)) {
  const best = Math.min(row.model, row.xz, row.ngram5, row.ngram6);
  const cell = (value: number) => (value === best ? `**${value.toFixed(2)}**` : value.toFixed(2));
  const cells = [row.model, row.xz, row.ngram5, row.ngram6].map(cell).join(" | ");
  console.log(`| ${names.get(code)} (\`${code}\`) | ${Math.round(trainBytes / 1000)} kB | ${cells} |`);
}
