/** How well a tokenizer serves each language: UTF-8 bytes per token on held-out text. */

import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readDocuments } from "./documents.ts";
import type { Source } from "./sources.ts";
import { isHeldOut } from "./tokens.ts";

export interface Fertility {
  language: string;
  /** Of the held-out documents that were looked at. */
  bytes: number;
  tokens: number;
  bytesPerToken: number;
}

/** Bytes of a language that are enough to know. */
const ENOUGH = 2 ** 18;

/**
 * Fertility of every language with held-out documents, the fewest bytes per token first.
 * @param validation share of the documents held out
 * @throws DataError as readDocuments
 */
export async function measureFertility(
  sources: Iterable<Source>,
  tokenizer: Tokenizer,
  validation: number,
): Promise<Fertility[]> {
  const found = new Map<string, { bytes: number; tokens: number }>();
  for await (const { text, language } of readDocuments(sources)) {
    if (!isHeldOut(text, validation)) continue;
    const sums = found.get(language) ?? { bytes: 0, tokens: 0 };
    found.set(language, sums);
    if (sums.bytes >= ENOUGH) continue;
    sums.bytes += Buffer.byteLength(text);
    sums.tokens += tokenizer.encode(text, { specials: false }).length;
  }
  return [...found]
    .map(([language, { bytes, tokens }]) => ({ language, bytes, tokens, bytesPerToken: bytes / tokens }))
    .sort((a, b) => a.bytesPerToken - b.bytesPerToken || (a.language < b.language ? -1 : 1));
}
