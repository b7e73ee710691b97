/** Examples as tokens: typed arrays, end to end, with a mark on each token that is learnt. */

/** Set in a token's word where the token counts as a target. */
export const counted = 2 ** 31;

export interface ExampleTokens {
  /** Ids, each example ending in an eos; marked by `counted`. */
  words: Uint32Array;
  /** [examples + 1] example i is words[starts[i], starts[i + 1]). */
  starts: Uint32Array;
  /** [examples] whose text each is. */
  languages: Uint32Array;
}

/** The id that a word holds. */
export function idOf(word: number): number {
  return (word & 0x7fffffff) >>> 0;
}

/** Does the word's token count as a target? */
export function isCounted(word: number): boolean {
  return word >= counted;
}

/** A growing list of 32-bit words. */
export class WordList {
  private words = new Uint32Array(1024);
  length = 0;

  /** Appends words, each with the mark or without. */
  append(words: Uint32Array, mark = 0): void {
    this.reserve(words.length);
    // The loop is as fast as a copy, and marks on the way.
    for (let i = 0; i < words.length; i++) this.words[this.length++] = words[i]! + mark;
  }

  push(word: number): void {
    this.reserve(1);
    this.words[this.length++] = word;
  }

  /** Leaves out all words from place `length` on. */
  cut(length: number): void {
    this.length = length;
  }

  /** The words so far, not copied. */
  view(): Uint32Array {
    return this.words.subarray(0, this.length);
  }

  private reserve(more: number): void {
    if (this.length + more <= this.words.length) return;
    const grown = new Uint32Array(Math.max(2 * this.words.length, this.length + more));
    grown.set(this.view());
    this.words = grown;
  }
}
