/** Bits per byte of a text, by windows that overlap: each token is scored once, with at least `context − stride` before it. */
import type { Likelihood, Scored } from "../model/likelihood.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

export interface TextScore {
  /** −log₂ of the text's probability, after a document's end. */
  bits: number;
  /** UTF-8. */
  bytes: number;
  tokens: number;
}

/** Scores a text as one document. */
export async function scoreText(
  likelihood: Likelihood,
  tokenizer: Tokenizer,
  text: string,
  size: Windows,
): Promise<TextScore> {
  const encoded = tokenizer.encode(text);
  const windows = windowsOf(encoded, size);
  let nats = 0;
  for (let at = 0; at < windows.length; at += likelihood.batch)
    for (const losses of await likelihood.score(windows.slice(at, at + likelihood.batch)))
      for (const loss of losses) nats += loss;
  return { bits: nats / Math.LN2, bytes: Buffer.byteLength(text), tokens: encoded.length };
}

/** Sizes of windows: `context` tokens that the model sees at most, `stride` by which they move on, at most `context`. */
export interface Windows {
  eos: number;
  vocabulary: number;
  context: number;
  stride: number;
}

/** A document's windows; each token is a target once, the first one after an end of text. */
export function windowsOf(tokens: ArrayLike<number>, { eos, vocabulary, context, stride }: Windows): Scored[] {
  const ids = new Uint32Array(tokens.length + 1);
  ids[0] = eos;
  ids.set(tokens, 1);
  const windows: Scored[] = [];
  for (let scored = 0; scored < ids.length - 1; ) {
    const end = Math.min(ids.length - 1, scored === 0 ? context : scored + stride);
    const start = Math.max(0, end - context);
    const targets = ids.slice(start + 1, end + 1);
    // What an earlier window has scored is read, not scored again.
    targets.fill(vocabulary, 0, scored - start);
    windows.push({ tokens: ids.slice(start, end), targets });
    scored = end;
  }
  return windows;
}
