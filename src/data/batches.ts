/** Batches of token windows: a pure function of the seed and a small cursor. */

import { DataError, LolaError } from "../base/errors.ts";
import { philox, seedWords } from "../base/random.ts";
import { permuted } from "./order.ts";
import type { TokenIds } from "./tokens.ts";

/** Where training stands in its data; JSON. */
export interface Cursor {
  /** Rows drawn so far. */
  rows: number;
  /** [languages] windows taken of each so far. */
  windows: number[];
}

export interface Batch {
  /** [B, T + 1] the inputs are the first T of each row, the targets the last T. */
  tokens: Uint32Array;
  /** [B] whose text each row is. */
  languages: Uint16Array;
}

export interface BatchOptions {
  /** [languages] tokens of each, documents end to end. */
  streams: readonly TokenIds[];
  /** [languages] with what probability a row is of it; 0 where the stream is empty. */
  probabilities: readonly number[];
  /** Rows, B. */
  batch: number;
  /** Targets of a row, T. */
  context: number;
  seed: bigint;
  /** Where to go on; from the beginning without it. */
  cursor?: Cursor;
}

/** What a random number is for, as the last word of its counter. */
const KEY = 0x64617461;
const LANGUAGE = 1;
const PHASE = 2;
const ORDER = 3;

/**
 * Endless batches. Each row draws a language and takes the next window of it.
 *
 * A language's stream is a ring: behind its last token, an eos, the first follows. An epoch begins somewhere on the ring
 * and cuts it into ⌊tokens / T⌋ windows of T targets, each overlapping the next by one token, in shuffled order. So no
 * token is a target twice in an epoch, and the fewer than T targets left out are others in the next. A stream shorter
 * than T is one window that goes round.
 */
export class Batches {
  private rows = 0;
  private readonly windows: number[];
  /** Sums of the probabilities, up to each language and with it. */
  private readonly sums: Float64Array;
  private readonly key: [number, number];
  private readonly options: Omit<BatchOptions, "cursor">;

  /** @throws DataError (data.cursor) where the cursor is of other languages; LolaError "usage" where there is no text */
  constructor({ cursor, ...options }: BatchOptions) {
    this.options = options;
    const { streams, probabilities, seed } = options;
    const count = streams.length;
    let sum = 0;
    this.sums = Float64Array.from(probabilities, (p, i) => (sum += streams[i]!.length > 0 ? p : 0));
    if (!(sum > 0)) throw new LolaError("usage", "no tokens to train on", "more text, or a lower --validation");
    const [low, high] = philox(seedWords(seed), [0, 0, 0, KEY]);
    this.key = [low, high];
    this.windows = new Array<number>(count).fill(0);
    if (!cursor) return;
    if (cursor.windows.length !== count) {
      const found = `${cursor.windows.length} languages, the data has ${count}`;
      throw new DataError("data.cursor", `the saved place in the data is of ${found}`, "the data the run began with");
    }
    this.rows = cursor.rows;
    this.windows = [...cursor.windows];
  }

  /** Where to go on after the batches so far. */
  get cursor(): Cursor {
    return { rows: this.rows, windows: [...this.windows] };
  }

  next(): Batch {
    const { batch, context, streams } = this.options;
    const tokens = new Uint32Array(batch * (context + 1));
    const languages = new Uint16Array(batch);
    for (let row = 0; row < batch; row++) {
      const language = this.draw();
      languages[row] = language;
      const ring = streams[language]!;
      // A loop, as views of the mapped file would be rubbish to collect.
      let from = this.start(language, this.windows[language]!);
      for (let i = row * (context + 1); i < (row + 1) * (context + 1); i++) {
        tokens[i] = ring[from]!;
        if (++from === ring.length) from = 0;
      }
      this.rows++;
      this.windows[language]!++;
    }
    return { tokens, languages };
  }

  /** Language of the next row. */
  private draw(): number {
    const { sums } = this;
    const [a, b] = philox(this.key, [this.rows >>> 0, Math.floor(this.rows / 2 ** 32), 0, LANGUAGE]);
    const point = fraction(a, b) * sums.at(-1)!;
    // First language whose sum lies above the point.
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > point) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Where on its ring the language's window number `taken` begins. */
  private start(language: number, taken: number): number {
    const { streams, context } = this.options;
    const { length } = streams[language]!;
    const count = Math.max(1, Math.floor(length / context));
    const epoch = Math.floor(taken / count);
    const [a, b] = philox(this.key, [language, epoch, 0, PHASE]);
    const window = permuted(taken % count, count, this.key, [language, epoch, ORDER]);
    return (Math.floor(fraction(a, b) * length) + window * context) % length;
  }
}

/** Two 32-bit words → a number in [0, 1) with 53 bits. */
function fraction(a: number, b: number): number {
  return (a * 2 ** 21 + (b >>> 11)) * 2 ** -53;
}
