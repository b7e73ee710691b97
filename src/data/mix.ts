/** A corpus as weighted texts, its languages mixed by temperature: what a tokenizer is learnt from. */

import type { WeightedText } from "../tokenizer/train.ts";
import { readDocuments } from "./documents.ts";
import { languageWeights } from "./sampling.ts";
import type { Source } from "./sources.ts";
import { isHeldOut } from "./tokens.ts";

export interface MixOptions {
  /** p ∝ min(bytes, cap)^α. */
  alpha: number;
  cap?: number;
  /** Share of the documents held out, which are not in the mix. */
  validation: number;
}

export interface Mix {
  /** UTF-8 bytes of each language that are in the mix. */
  sizes: ReadonlyMap<string, number>;
  texts(): AsyncIterable<WeightedText>;
}

/**
 * Reads the corpus once for the sizes of its languages; the texts are read again when they are taken.
 * @throws DataError as readDocuments; LolaError "usage" where there is no text
 */
export async function mixLanguages(sources: readonly Source[], { alpha, cap, validation }: MixOptions): Promise<Mix> {
  const sizes = new Map<string, number>();
  for await (const { text, language } of readDocuments(sources)) {
    if (!isHeldOut(text, validation)) sizes.set(language, (sizes.get(language) ?? 0) + Buffer.byteLength(text));
  }
  const weights = languageWeights([...sizes.values()], alpha, cap);
  const weightOf = new Map([...sizes.keys()].map((language, i) => [language, weights[i]!]));
  async function* texts() {
    for await (const { text, language } of readDocuments(sources)) {
      if (!isHeldOut(text, validation)) yield { text, weight: weightOf.get(language)! };
    }
  }
  return { sizes, texts };
}
