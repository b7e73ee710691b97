/** The windows of held-out text that a run is measured on: the same ones each time. */

import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { LanguageTokens } from "./tokens.ts";

export interface ValidationWindow {
  /** Index into the languages. */
  language: number;
  /** [T + 1] as a row of a batch; behind the real tokens stands eos. */
  tokens: Uint32Array;
  /** Of the T targets the first so many are real. */
  targets: number;
  /** UTF-8 bytes of the real targets, an eos counting none: bits per byte = Σ −log₂ p / Σ bytes. */
  bytes: number;
}

/**
 * At most `most` windows of each language, evenly spread over its held-out text; none where it has fewer than two tokens.
 * @param context T
 */
export function validationWindows(
  languages: readonly LanguageTokens[],
  tokenizer: Tokenizer,
  eos: number,
  context: number,
  most: number,
): ValidationWindow[] {
  return languages.flatMap(({ validation: { ids } }, language) => {
    const count = Math.ceil((ids.length - 1) / context);
    const taken = Math.max(0, Math.min(count, most));
    return Array.from({ length: taken }, (_, i) => {
      const start = Math.floor((i * count) / taken) * context;
      const tokens = new Uint32Array(context + 1).fill(eos);
      const real = ids.subarray(start, start + context + 1);
      tokens.set(real);
      let bytes = 0;
      for (const id of real.subarray(1)) if (id !== eos) bytes += tokenizer.bytes(id).length;
      return { language, tokens, targets: real.length - 1, bytes };
    });
  });
}
