/** Questions of four choices: a right one, and three others of about its length, in an order that content decides. */
import { sha256 } from "../../src/base/hash.ts";

/** A row of a set, as `lola eval tasks` reads it. */
export interface Choice {
  id: string;
  text: string;
  choices: string[];
  label: number;
}

/** What is asked, and the right answer. */
export interface Pair {
  text: string;
  answer: string;
}

const wrong = 3;

/**
 * Wrong answers are the right ones of other pairs: of those nearest in length, so that short answers do not win by themselves.
 * @param pairs answers that occur twice are asked for once
 * @returns none for fewer than eight pairs
 */
export function choicesOf(name: string, pairs: readonly Pair[]): Choice[] {
  const once = [...new Map(pairs.map((pair) => [pair.answer, pair])).values()];
  if (once.length < 2 * (wrong + 1)) return [];
  const sorted = once.toSorted((a, b) => a.answer.length - b.answer.length || (a.answer < b.answer ? -1 : 1));
  return once.map((pair) => {
    const at = sorted.indexOf(pair);
    const near = sorted
      .slice(Math.max(0, at - wrong), at + wrong + 1)
      .filter((other) => other !== pair)
      .toSorted((a, b) => apart(a, pair) - apart(b, pair) || (a.answer < b.answer ? -1 : 1));
    const id = sha256(JSON.stringify([name, pair.text, pair.answer])).slice(0, 16);
    const choices = near.slice(0, wrong).map(({ answer }) => answer);
    const label = Number.parseInt(id.slice(0, 8), 16) % (wrong + 1);
    choices.splice(label, 0, pair.answer);
    return { id, text: pair.text, choices, label };
  });
}

const apart = (a: Pair, b: Pair) => Math.abs(a.answer.length - b.answer.length);

/** At most `most` of them, those whose ids come first: the same ones whatever else is there. In their old order. */
export function some(choices: readonly Choice[], most: number): Choice[] {
  const kept = new Set(choices.toSorted((a, b) => (a.id < b.id ? -1 : 1)).slice(0, most));
  return choices.filter((one) => kept.has(one));
}

/** A paragraph cut before the word that begins nearest behind its middle; undefined for one of fewer than eight words. */
export function halves(paragraph: string, language: string): Pair | undefined {
  const words = [...new Intl.Segmenter(language, { granularity: "word" }).segment(paragraph)].filter(
    (one) => one.isWordLike,
  );
  if (words.length < 8) return undefined;
  const { index } = words.find((word) => word.index >= paragraph.length / 2) ?? words[words.length >> 1]!;
  const [text, answer] = [paragraph.slice(0, index), paragraph.slice(index)];
  // The blank belongs to what follows, as tokens have it.
  const blank = text.length - text.trimEnd().length;
  return { text: text.trimEnd(), answer: text.slice(text.length - blank) + answer };
}
