/** Text is cut as GPT-2's regular expression cuts it, with Unicode's whitespace. */

import { expect, test } from "bun:test";
import { preTokenEnd } from "../../src/tokenizer/pretokenize.ts";
import { dice, randomText, tiny } from "./support.ts";

function preTokens(text: string): string[] {
  const pieces: string[] = [];
  for (let start = 0, end: number; start < text.length; start = end) {
    end = preTokenEnd(text, start, text.length);
    pieces.push(text.slice(start, end));
  }
  return pieces;
}

const white = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const gpt2 = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${white}\\p{L}\\p{N}]+|[${white}]+(?![^${white}])|[${white}]+`,
  "gu",
);

test.each([
  ["it's we'LL 'tis", ["it", "'s", " we", "'", "LL", " '", "tis"]],
  ["a  b\n\n c  ", ["a", " ", " b", "\n\n", " c", "  "]],
  ["x1²½ ३!?", ["x", "1²½", " ३", "!?"]],
  ["a\u0301 👍🏽𝔘", ["a", "\u0301", " 👍🏽", "𝔘"]],
  // U+0085 is whitespace: alone before a word, never joined to it.
  ["a\u0085b", ["a", "\u0085", "b"]],
  ["a \u0085b", ["a", " ", "\u0085", "b"]],
  ["a\u0085 b", ["a", "\u0085", " b"]],
  ["a!\u0085", ["a", "!", "\u0085"]],
  // U+FEFF is none: it goes with other symbols, and with the space before it.
  ["a\ufeffb", ["a", "\ufeff", "b"]],
  ["a \ufeff!b", ["a", " \ufeff!", "b"]],
  ["  \ufeff", [" ", " \ufeff"]],
  ["\ufeff", ["\ufeff"]],
])("%j", (text, expected) => {
  expect(preTokens(text)).toEqual(expected);
});

test("10,000 random texts, with U+0085 and U+FEFF", () => {
  const roll = dice(5n);
  for (let i = 0; i < 10_000; i++) {
    const odd = ["\u0085", "\ufeff", ""][roll(3)]!;
    const text = randomText(roll, []) + odd + randomText(roll, []);
    const expected: string[] = text.match(gpt2) ?? [];
    if (!Bun.deepEquals(preTokens(text), expected)) expect(preTokens(text)).toEqual(expected);
  }
});

test("ids follow those cuts", () => {
  const tokenizer = tiny();
  const alone = (text: string) => [...tokenizer.encode(text)];
  expect(alone("a \u0085the")).toEqual([...alone("a"), ...alone(" "), ...alone("\u0085"), ...alone("the")]);
  expect(alone("a \ufeffthe")).toEqual([...alone("a"), ...alone(" \ufeff"), ...alone("the")]);
});
