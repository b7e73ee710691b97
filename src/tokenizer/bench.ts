/** How fast a tokenizer encodes a given text, for `lola bench`. */

import type { Tokenizer } from "./tokenizer.ts";

export interface EncodeSpeed {
  /** UTF-8 bytes of the text. */
  bytes: number;
  tokens: number;
  /** 10^6 bytes per second of the first pass, with nothing compiled or cached, and of the fastest of the others. */
  first: number;
  best: number;
}

/** Encodes the text `passes` ≥ 2 times on the calling thread. */
export function benchmarkEncode(tokenizer: Tokenizer, text: string, passes = 5): EncodeSpeed {
  const bytes = Buffer.byteLength(text);
  let tokens = 0;
  const speeds = Array.from({ length: passes }, () => {
    const start = performance.now();
    tokens = tokenizer.encode(text).length;
    return bytes / (performance.now() - start) / 1000;
  });
  return { bytes, tokens, first: speeds[0]!, best: Math.max(...speeds.slice(1)) };
}
