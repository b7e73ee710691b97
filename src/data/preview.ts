/** Examples as they are learnt: their tokens as text, parted by whether they count. */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { idOf, isCounted } from "./example-tokens.ts";
import type { ExampleSet } from "./examples.ts";

export interface Preview {
  language: string;
  tokens: number;
  counted: number;
  /** Runs of tokens, special ones by name. */
  pieces: { text: string; counts: boolean }[];
}

/** So many examples, evenly spread over those to learn from. */
export function previewExamples(
  { tokens, train, summary }: ExampleSet,
  tokenizer: Tokenizer,
  count: number,
): Preview[] {
  const { words, starts, languages } = tokens;
  const taken = Math.min(count, train.length);
  return Array.from({ length: taken }, (_, i) => {
    const example = train[Math.floor((i * train.length) / taken)]!;
    const own = words.subarray(starts[example], starts[example + 1]);
    const { language } = summary.languages[languages[example]!]!;
    const counted = own.reduce((sum, word) => sum + (isCounted(word) ? 1 : 0), 0);
    return { language, tokens: own.length, counted, pieces: piecesOf(own, tokenizer) };
  });
}

function piecesOf(words: Uint32Array, tokenizer: Tokenizer): Preview["pieces"] {
  const pieces: Preview["pieces"] = [];
  for (let from = 0, to = 0; from < words.length; from = to) {
    const counts = isCounted(words[from]!);
    while (to < words.length && isCounted(words[to]!) === counts) to++;
    pieces.push({ text: tokenizer.decode(Array.from(words.subarray(from, to), idOf)), counts });
  }
  return pieces;
}
