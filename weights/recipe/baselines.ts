/** `bun weights/recipe/baselines.ts OUT`: what simple compressors need for each Declaration after the same training text. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ByteNgram } from "./ngram.ts";

/** Bits per byte of a language's declaration. */
interface Baseline {
  code: string;
  trainBytes: number;
  udhrBytes: number;
  /** `xz -9e` with the training text before it: what the declaration adds to the compressed size. */
  xz: number;
  /** Modified Kneser–Ney over runs of five bytes: four of context. */
  ngram5: number;
  /** The same over runs of six bytes: five of context, the harder bar. */
  ngram6: number;
}

const out = process.argv[2];
if (!out) {
  console.error("usage: nice bun weights/recipe/baselines.ts OUT (needs xz)");
  process.exit(2);
}
const { rows, sha256 } = (await Bun.file(join(out, "corpus/languages.json")).json()) as {
  rows: { code: string; udhr: string | null }[];
  sha256: string;
};
const baselines: Baseline[] = [];
for (const { code, udhr } of rows) {
  if (!udhr) continue;
  const train = trainingText(join(out, "corpus/train", `${code}.jsonl`));
  const test = readFileSync(join(out, "corpus/udhr", `${code}.txt`));
  const added = (await compressedSize(Buffer.concat([train, test]))) - (await compressedSize(train));
  baselines.push({
    code,
    trainBytes: train.length,
    udhrBytes: test.length,
    xz: (8 * added) / test.length,
    ngram5: new ByteNgram(train, 5).bits(test) / test.length,
    ngram6: new ByteNgram(train, 6).bits(test) / test.length,
  });
  console.error(JSON.stringify(baselines.at(-1)));
}
const mean = (value: (row: Baseline) => number) =>
  baselines.reduce((sum, row) => sum + value(row), 0) / baselines.length;
const means = { xz: mean((row) => row.xz), ngram5: mean((row) => row.ngram5), ngram6: mean((row) => row.ngram6) };
await Bun.write(
  join(out, "baselines.json"),
  `${JSON.stringify({ corpus: sha256, means, rows: baselines }, null, 1)}\n`,
);
console.log(JSON.stringify(means));

/** The texts of a JSONL file's rows in their order, a newline after each. */
function trainingText(path: string): Buffer {
  const rows = readFileSync(path, "utf8").trimEnd().split("\n");
  return Buffer.from(rows.map((row) => `${(JSON.parse(row) as { text: string }).text}\n`).join(""));
}

async function compressedSize(bytes: Uint8Array): Promise<number> {
  const xz = Bun.spawn(["xz", "-9e", "-c", "-T1", "--check=none"], { stdin: bytes, stdout: "pipe" });
  return (await new Response(xz.stdout).bytes()).length;
}
