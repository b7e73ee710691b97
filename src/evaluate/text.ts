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

/**
 * Scores a text as one document.
 * @param context tokens that the model sees at most; `stride`: tokens by which windows move on, at most `context`
 */
export async function scoreText(
  likelihood: Likelihood,
  tokenizer: Tokenizer,
  text: string,
  { eos, vocabulary, context, stride }: { eos: number; vocabulary: number; context: number; stride: number },
): Promise<TextScore> {
  const ids = Uint32Array.of(eos, ...tokenizer.encode(text));
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
  let nats = 0;
  for (let at = 0; at < windows.length; at += likelihood.batch)
    for (const losses of await likelihood.score(windows.slice(at, at + likelihood.batch)))
      for (const loss of losses) nats += loss;
  return { bits: nats / Math.LN2, bytes: Buffer.byteLength(text), tokens: ids.length - 1 };
}
