/** Two models on the same texts: what one costs beside the other, and how often they choose alike. */
import type { Likelihood } from "../model/likelihood.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Windows, windowsOf } from "./text.ts";

export interface Comparison {
  /** Of the text. */
  bytes: number;
  tokens: number;
  /** −log₂ of the text's probability by each model. */
  bits: [number, number];
  /** Tokens for which both find the same next one likeliest. */
  sameBest: number;
  /** In each MoE layer: tokens that both send to the same expert. */
  sameExpert: number[];
}

/** [MoE layer][expert]: what the first model calls an expert of the second. */
export type ExpertNames = readonly (readonly number[])[];

/**
 * Reads a text with two models that have one tokenizer and equally many layers, by windows as `scoreDocuments` does.
 * @param models likelihoods that observe, of equal batch
 * @param names default: both call their experts alike
 */
export async function compareOn(
  models: readonly [Likelihood, Likelihood],
  tokenizer: Tokenizer,
  text: string,
  size: Windows,
  names?: ExpertNames,
): Promise<Comparison> {
  const windows = windowsOf(tokenizer.encode(text), size);
  const total: Comparison = { bytes: Buffer.byteLength(text), tokens: 0, bits: [0, 0], sameBest: 0, sameExpert: [] };
  const { batch } = models[0];
  for (let at = 0; at < windows.length; at += batch) {
    const some = windows.slice(at, at + batch);
    const [first, second] = [await models[0].observe(some), await models[1].observe(some)];
    for (const [i, { targets }] of some.entries()) {
      const [a, b] = [first[i]!, second[i]!];
      for (let t = 0; t < targets.length; t++) {
        if (targets[t]! >= size.vocabulary) continue;
        total.tokens++;
        total.bits[0] += a.losses[t]! / Math.LN2;
        total.bits[1] += b.losses[t]! / Math.LN2;
        if (a.best[t] === b.best[t]) total.sameBest++;
        for (const [layer, experts] of a.experts.entries()) {
          total.sameExpert[layer] ??= 0;
          const other = b.experts[layer]![t]!;
          if (experts[t] === (names ? names[layer]![other] : other)) total.sameExpert[layer]!++;
        }
      }
    }
  }
  return total;
}
