/** The work of `lola tokenizer train`: data → the files of a tokenizer, and how well it serves each language. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { LolaError } from "../base/errors.ts";
import type { Fertility } from "../data/fertility.ts";
import { askText, tellEquivalent } from "./ask.ts";
import { type Context, required } from "./context.ts";
import type { dataFlags } from "./flags.ts";
import { bytes, grouped, table } from "./style.ts";
import type { Values } from "./table.ts";

export interface TrainedTokenizer {
  folder: string;
  tokens: number;
  /** What it was learnt from, without what was held out. */
  languages: number;
  bytes: number;
  /** Of each language with held-out text, the fewest bytes per token first. */
  fertility: Fertility[];
}

interface TrainFlags extends Values<typeof dataFlags> {
  output: string | undefined;
  vocabulary: number;
  minFrequency: number;
  longest: number;
}

/** Longest sequence that the files name: LOLA's own. */
const CONTEXT = 2048;

export async function trainInto(context: Context<TrainFlags>): Promise<TrainedTokenizer> {
  const { flags, notes } = context;
  const { data, output } = await choices(context);
  if (existsSync(output) && readdirSync(output).length > 0) {
    throw new LolaError("usage", `${output} is not empty`, "another folder, or remove it first");
  }
  const { places } = await import("../base/paths.ts");
  const { saveFolder } = await import("../base/atomic.ts");
  const { findSources } = await import("../data/sources.ts");
  const { mixLanguages } = await import("../data/mix.ts");
  const { measureFertility } = await import("../data/fertility.ts");
  const { trainTokenizer } = await import("../tokenizer/train.ts");
  const { Tokenizer } = await import("../tokenizer/tokenizer.ts");
  const { toHfFiles } = await import("../tokenizer/save.ts");
  try {
    const sources = await findSources(data, join(places().cache, "tokens"));
    notes.progress(`reading ${bytes(sources.reduce((sum, source) => sum + source.bytes, 0))}`);
    const { alpha, cap, validation, vocabulary, minFrequency, longest } = flags;
    const mix = await mixLanguages(sources, { alpha, ...(cap && { cap }), validation });
    const trained = await trainTokenizer(mix.texts(), {
      vocabulary,
      minFrequency,
      longestBytes: longest,
      onProgress: (tokens) => notes.progress(`${grouped(tokens)} of ${grouped(vocabulary)} tokens`),
    });
    notes.progress("measuring");
    const fertility = await measureFertility(sources, new Tokenizer(trained), validation);
    const files = toHfFiles(trained, CONTEXT);
    await saveFolder(output, async (folder) => {
      for (const [name, text] of Object.entries(files)) {
        await folder.file(name, (file) => file.write(new TextEncoder().encode(text)));
      }
    });
    const sizes = [...mix.sizes.values()];
    return {
      folder: resolve(output),
      tokens: trained.vocabulary.length,
      languages: sizes.length,
      bytes: sizes.reduce((a, b) => a + b, 0),
      fertility,
    };
  } finally {
    notes.progress("");
  }
}

/** Data and folder, asked for in a terminal where they were not given. */
async function choices({ args, flags, interactive, notes, words }: Context<TrainFlags>) {
  const example = "lola tokenizer train corpus/ -o tokenizer/";
  if (!interactive || (args.length > 0 && flags.output !== undefined)) {
    required(args[0], "the data to learn from", example);
    return { data: args, output: required(flags.output, "-o DIR, the folder to make", example) };
  }
  const data = args.length > 0 ? args : [await askText("Which file or folder holds the text?", "corpus/")];
  const output = flags.output ?? (await askText("Which folder is to be made?", "tokenizer/"));
  const more = [...(args.length > 0 ? [] : data), ...(flags.output === undefined ? ["-o", output] : [])];
  tellEquivalent(notes, ["tokenizer", ...words, ...more]);
  return { data, output };
}

/** Languages shown where the tokenizer serves worst. */
const SHOWN = 10;
/** Held-out bytes below which bytes per token are mostly chance. */
const TELLING = 1000;

export function showTrained({ folder, tokens, languages, bytes: size, fertility }: TrainedTokenizer): string {
  const made = `${folder}: ${grouped(tokens)} tokens from ${bytes(size)} of text in ${grouped(languages)} languages`;
  const telling = fertility.filter((f) => f.bytes >= TELLING);
  const left = `${grouped(languages - telling.length)} languages have less than ${bytes(TELLING)} held out`;
  if (telling.length === 0) return `${made}\nbytes per token are not shown: ${left}`;
  const row = (place: string, f: Fertility) => [place, f.language, f.bytesPerToken.toFixed(2), bytes(f.bytes)];
  const rows = [
    ["", "language", "bytes per token", "held out"],
    ...telling.slice(0, SHOWN).map((f, i) => row(i === 0 ? "worst" : "", f)),
    row("median", telling[telling.length >> 1]!),
    row("best", telling.at(-1)!),
  ];
  return [made, "", table(rows), ...(languages > telling.length ? [`not shown: ${left}`] : [])].join("\n");
}
