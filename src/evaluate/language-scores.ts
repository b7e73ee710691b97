/** Samples of text → what each language costs, and how sure that is. */
import { type Language, languageOf } from "../data/languages.ts";
import { ratioInterval, type Unit } from "./bootstrap.ts";
import type { LanguageScore, TextSample } from "./results.ts";

/** Fewer documents than this tell too little of how documents differ. */
const fewDocuments = 20;

/**
 * Samples' sums by language, in order of the labels. Intervals are of resampled documents; of resampled paragraphs where a
 * language has fewer than 20 documents: these tell how the text at hand varies, not how another would.
 * @param known names and families
 */
export function languageScores(
  samples: readonly TextSample[],
  known: ReadonlyMap<string, Language> = new Map(),
): LanguageScore[] {
  const groups = Map.groupBy(samples, ({ language }) => language);
  const labels = [...groups.keys()].sort();
  return labels.map((language) => scoreOf(language, groups.get(language)!, languageOf(known, language)));
}

function scoreOf(
  language: string,
  samples: readonly TextSample[],
  { name, family }: Partial<Language> = {},
): LanguageScore {
  const [bytes, tokens] = [sum(samples, (one) => one.bytes), sum(samples, (one) => one.tokens)];
  const bits = sum(samples, (one) => one.bits);
  const unit = unitOf(samples);
  return {
    language,
    ...(name !== undefined && { name }),
    ...(family !== undefined && { family }),
    documents: samples.length,
    bytes,
    tokens,
    bits,
    bitsPerByte: bits / bytes,
    interval: ratioInterval(samples.flatMap((sample) => unitsOf(sample, unit))),
    unit,
    perplexity: 2 ** (bits / tokens),
  };
}

/** What is resampled of a language. */
export function unitOf(samples: readonly TextSample[]): LanguageScore["unit"] {
  return samples.length < fewDocuments ? "paragraphs" : "documents";
}

/** Bits and bytes of a document, as units of that kind. */
export function unitsOf({ bits, bytes, parts }: TextSample, unit: LanguageScore["unit"]): Unit[] {
  return unit === "documents" ? [[bits, bytes]] : parts.map(([size, cost]) => [cost, size]);
}

/** Languages that are summed up in one line. */
export interface FamilyScore {
  /** undefined: languages of which none is known */
  family: string | undefined;
  languages: readonly LanguageScore[];
  bytes: number;
  /** Each language counts alike. */
  meanBitsPerByte: number;
}

/** By family: the largest first, unknown ones last; languages in order of their bits per byte. */
export function familyScores(scores: readonly LanguageScore[]): FamilyScore[] {
  const groups = [...Map.groupBy(scores, ({ family }) => family)];
  const families = groups.map(
    ([family, languages]): FamilyScore => ({
      family,
      languages: languages.toSorted((a, b) => a.bitsPerByte - b.bitsPerByte),
      bytes: sum(languages, (one) => one.bytes),
      meanBitsPerByte: sum(languages, (one) => one.bitsPerByte) / languages.length,
    }),
  );
  const rank = ({ family, languages }: FamilyScore) => (family === undefined ? 0 : languages.length);
  return families.sort((a, b) => rank(b) - rank(a) || ((a.family ?? "") < (b.family ?? "") ? -1 : 1));
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
