/** Which share of training each language gets: `p ∝ n^α`, the temperature sampling of multilingual models. */

import { LolaError } from "../base/errors.ts";
import type { LanguageTokens } from "./tokens.ts";

/**
 * Probability of each language, `min(n, cap)^α` over the sum (Conneau & Lample, NeurIPS 2019): α = 1 follows the sizes,
 * α = 0 treats all languages alike. A language without text gets none.
 * @param sizes [languages] bytes of text
 * @param cap bytes above which a language counts as no larger
 * @throws LolaError "usage" when there is no text at all
 */
export function languageProbabilities(
  sizes: readonly number[],
  alpha: number,
  cap = Number.POSITIVE_INFINITY,
): number[] {
  const shares = sizes.map((size) => (size > 0 ? Math.min(size, cap) ** alpha : 0));
  const sum = shares.reduce((a, b) => a + b, 0);
  if (sum === 0) throw new LolaError("usage", "no text to train on", "more text, or a lower --validation");
  return shares.map((share) => share / sum);
}

/**
 * How much one occurrence of a language counts, so that all its text counts as its probability says. The largest weight
 * is 1: what is rare stays rare.
 * @param sizes [languages] bytes of text
 */
export function languageWeights(sizes: readonly number[], alpha: number, cap?: number): number[] {
  const weights = languageProbabilities(sizes, alpha, cap).map((p, i) => (p > 0 ? p / sizes[i]! : 0));
  const largest = weights.reduce((a, b) => Math.max(a, b));
  return weights.map((weight) => weight / largest);
}

/** What a language gets of the training. */
export interface LanguageShare {
  language: string;
  /** Of the training side. */
  documents: number;
  bytes: number;
  tokens: number;
  probability: number;
  /** How often each of its tokens will be seen, on average. */
  epochs: number;
}

/**
 * The table to show before the first step, the likeliest language first.
 * @param tokens of the whole training, all languages together
 */
export function samplingTable(
  languages: readonly LanguageTokens[],
  probabilities: readonly number[],
  tokens: number,
): LanguageShare[] {
  const shares = languages.map(({ language, train }, i) => {
    const probability = probabilities[i]!;
    const own = train.ids.length;
    const epochs = own > 0 ? (probability * tokens) / own : 0;
    return { language, documents: train.documents, bytes: train.bytes, tokens: own, probability, epochs };
  });
  return shares.sort((a, b) => b.probability - a.probability || (a.language < b.language ? -1 : 1));
}
