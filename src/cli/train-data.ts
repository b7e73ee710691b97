/** The data of `lola train`: files → tokenizer → tokens on the disk, and what each language gets of the training. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DataError } from "../base/errors.ts";
import { places } from "../base/paths.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { mixLanguages } from "../data/mix.ts";
import { type LanguageShare, languageProbabilities, samplingTable } from "../data/sampling.ts";
import { findSources, type Source } from "../data/sources.ts";
import { type LanguageTokens, openTokens } from "../data/tokens.ts";
import { openSource, tokenizerOf } from "../model/open.ts";
import { type HfFiles, hfFileNames, parseHfTokenizer } from "../tokenizer/load.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { trainTokenizer } from "../tokenizer/train.ts";
import type { RunConfig } from "../train/config.ts";
import type { Notes } from "./streams.ts";
import { bytes, grouped } from "./style.ts";
import type { TrainFlags } from "./train-flags.ts";
import { presetOf } from "./train-settings.ts";

const cacheFolder = () => join(places().cache, "tokens");

/** @throws LolaError, DataError as findSources; DataError where all files are empty */
export async function dataFiles(paths: readonly string[]): Promise<Source[]> {
  const sources = await findSources(paths, cacheFolder());
  if (sources.some(({ bytes }) => bytes > 0)) return sources;
  throw new DataError("data.empty", `${sources.map((s) => s.label).join(", ")}: empty`, "files with text");
}

/** The tokenizer of the model to start from, the one that was named, or one learnt from the data. */
export async function chooseTokenizer(
  flags: TrainFlags,
  sources: readonly Source[],
  model: ModelSource | undefined,
  notes: Notes,
): Promise<Tokenizer> {
  if (model) return tokenizerOf(model);
  if (flags.tokenizer !== undefined) return openTokenizer(flags.tokenizer);
  const { alpha, cap, validation } = flags;
  const vocabulary = flags.vocabulary ?? presetOf(flags).sizes.vocabulary;
  notes.progress("counting words");
  const mix = await mixLanguages(sources, { alpha, ...(cap !== undefined && { cap }), validation });
  const data = await trainTokenizer(mix.texts(), {
    vocabulary,
    onProgress: (tokens) => notes.progress(`learning a tokenizer: ${grouped(tokens)} of ${grouped(vocabulary)} tokens`),
  });
  notes.progress("");
  return new Tokenizer(data);
}

/** A folder with tokenizer files, one `tokenizer.json`, or a model. @throws DataError, LolaError "usage" */
function openTokenizer(path: string): Tokenizer {
  const folder = existsSync(path) && statSync(path).isDirectory();
  if (folder && !existsSync(join(path, "config.json"))) {
    const files: HfFiles = {};
    for (const name of hfFileNames)
      if (existsSync(join(path, name))) files[name] = readFileSync(join(path, name), "utf8");
    return new Tokenizer(parseHfTokenizer(files));
  }
  if (path.endsWith(".json")) return new Tokenizer(parseHfTokenizer({ "tokenizer.json": readFileSync(path, "utf8") }));
  const source = openSource(path);
  try {
    return tokenizerOf(source);
  } finally {
    source.close();
  }
}

/** The corpus in tokens, from the cache or encoded now. @throws DataError where there is no text to train on */
export async function dataTokens(
  sources: readonly Source[],
  tokenizer: Tokenizer,
  eos: number,
  validation: number,
  notes: Notes,
): Promise<readonly LanguageTokens[]> {
  const all = sources.reduce((sum, s) => sum + s.bytes, 0);
  const onProgress = (done: { bytes: number }) =>
    notes.progress(`encoding ${bytes(done.bytes)} of about ${bytes(all)}`);
  const cache = await openTokens({ sources, tokenizer, eos, validation, cacheFolder: cacheFolder(), onProgress });
  notes.progress("");
  if (cache.languages.some(({ train }) => train.ids.length > 0)) return cache.languages;
  const paths = sources
    .map((s) => s.label)
    .slice(0, 3)
    .join(", ");
  throw new DataError("data.empty", `no text to train on in ${paths}`, "files with text, or a lower --validation");
}

/** What each language gets, the likeliest first. */
export function languageShares(languages: readonly LanguageTokens[], { data, recipe }: RunConfig): LanguageShare[] {
  const sizes = languages.map(({ train }) => train.bytes);
  return samplingTable(languages, languageProbabilities(sizes, data.alpha, data.cap), recipe.tokens);
}
