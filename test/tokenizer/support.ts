/** What the tokenizer tests share: the small tokenizer, its Hugging Face twin, and random text. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as HfTokenizer } from "@huggingface/tokenizers";
import { philox, seedWords } from "../../src/base/random.ts";
import { type HfFiles, hfFileNames, parseHfTokenizer } from "../../src/tokenizer/load.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

/** The fixture `tiny-lola`'s: 1,000 tokens, six of them special. */
export const tinyFiles = () => filesOf(join(import.meta.dir, "data"));

/** The five files of a tokenizer's folder. */
export function filesOf(folder: string): Required<HfFiles> {
  return Object.fromEntries(
    hfFileNames.map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  ) as Required<HfFiles>;
}

export const tinyData = () => parseHfTokenizer(tinyFiles());
export const tiny = () => new Tokenizer(tinyData());

export function hfTwin(files: Required<HfFiles>): HfTokenizer {
  return new HfTokenizer(JSON.parse(files["tokenizer.json"]), JSON.parse(files["tokenizer_config.json"]));
}

/** Whole numbers below n, the same for the same seed. */
export function dice(seed: bigint): (n: number) => number {
  const key = seedWords(seed);
  let counter = 0;
  return (n) => philox(key, [counter++, 0, 0, 0])[0] % n;
}

const whitespace = [..." \t\n\r\v\f\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000"];
const contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "''", "'v", "'l"];
const marks = [..."\u0301\u0308\u0327\u200d\u200c\ufe0f\u0f84\u094d\u064b\u20dd"];
const emoji = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "☺️"];
const scripts: readonly (readonly [first: number, last: number])[] = [
  [0x21, 0x7e],
  [0x61, 0x7a],
  [0x30, 0x39],
  [0xa1, 0x17f],
  [0x370, 0x3ff],
  [0x400, 0x52f],
  [0x5d0, 0x5ea],
  [0x600, 0x6ff],
  [0x900, 0x97f],
  [0xe00, 0xe7f],
  [0x10a0, 0x10ff],
  [0x1200, 0x137f],
  [0x2070, 0x218f],
  [0x2460, 0x24ff],
  [0x3040, 0x30ff],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0x0, 0x1f],
  [0x7f, 0x9f],
  [0xd800, 0xdfff],
  [0x10000, 0x1ffff],
  [0x20000, 0x2a6df],
  [0x0, 0x10ffff],
];

/** Runs of one script, numbers, controls, marks, emoji, lone surrogates, contractions and special tokens, mixed with whitespace. */
export function randomText(roll: (n: number) => number, specials: readonly string[]): string {
  const pick = <T>(list: readonly T[]) => list[roll(list.length)]!;
  let text = "";
  for (let parts = roll(12); parts > 0; parts--) {
    const kind = roll(16);
    if (kind < 4) for (let i = 1 + roll(3); i > 0; i--) text += roll(2) ? " " : pick(whitespace);
    else if (kind === 4) text += pick(contractions);
    else if (kind === 5) text += pick(marks);
    else if (kind === 6) text += pick(emoji);
    else if (kind === 7 && specials.length > 0) text += pick(specials);
    else {
      const [first, last] = pick(scripts);
      for (let i = 1 + roll(8); i > 0; i--) text += String.fromCodePoint(first + roll(last - first + 1));
    }
  }
  return text;
}
