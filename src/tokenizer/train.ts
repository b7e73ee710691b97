/** Byte-pair encoding learnt from text (Sennrich et al., ACL 2016) over bytes, as GPT-2 and LOLA have it (spec §2). */

import { LolaError } from "../base/errors.ts";
import { MOST_TOKENS } from "./bpe.ts";
import type { TokenizerData } from "./data.ts";
import { firstTokens, inLayout, specials } from "./layout.ts";
import { Pairs } from "./pairs.ts";
import { PieceCounts } from "./pieces.ts";

/** A text that counts `weight` times. */
export interface WeightedText {
  text: string;
  weight: number;
}

export interface TrainTokenizerOptions {
  /** Tokens wanted: the six special ones, the 256 bytes, and merges. */
  vocabulary: number;
  /** Pairs that occur less often, by weight, are not merged (default 2). */
  minFrequency?: number;
  /** Bytes of the longest token (default 48: sixteen characters of most scripts), so that no long run becomes one. */
  longestBytes?: number;
  /** Told now and then how many tokens there are. */
  onProgress?(tokens: number): void;
}

/** Weights are counted in steps of 2^-20, so that their sums are exact. */
const STEPS = 2 ** 20;
/** Most bytes of different pre-tokens: four arrays of 4 bytes each are kept for every byte. */
const MOST_BYTES = 2 ** 29;
/** Between words. */
const BOUNDARY = -1;

/**
 * Learns a tokenizer in LOLA's layout: special tokens at 0 to 5, the bytes in order from 6, then a token for each merge.
 *
 * The same texts in any order give the same tokenizer: of pairs that are equally frequent, the one whose left token has the
 * lower id is merged first, then the one whose right token has.
 * @param texts weights below 2^-21 count as nothing
 * @returns fewer tokens than asked for, where no pair is frequent enough any more
 * @throws LolaError "usage" where `vocabulary` is below 262 or above 2^22, or the texts are too many to count in memory
 */
export async function trainTokenizer(
  texts: Iterable<WeightedText> | AsyncIterable<WeightedText>,
  { vocabulary, minFrequency = 2, longestBytes = 48, onProgress }: TrainTokenizerOptions,
): Promise<TokenizerData> {
  if (vocabulary < firstTokens.length || vocabulary > MOST_TOKENS) {
    const range = `${firstTokens.length} to ${MOST_TOKENS}`;
    throw new LolaError("usage", `a vocabulary of ${vocabulary} tokens: the trainer makes ${range}`);
  }
  const pieces = new PieceCounts();
  for await (const { text, weight } of texts) pieces.add(text, weight);
  const learner = new Learner(pieces, longestBytes);
  while (learner.tokens.length < vocabulary && learner.merge(minFrequency * STEPS)) {
    if (learner.tokens.length % 256 === 0) onProgress?.(learner.tokens.length);
  }
  return inLayout(learner.tokens, learner.merges);
}

/** All different words as symbols side by side, merged pair by pair. */
class Learner {
  readonly tokens: string[] = [...firstTokens];
  readonly merges: string[] = [];
  private readonly ids = new Map(this.tokens.map((token, id) => [token, id]));
  /** id → bytes. */
  private readonly lengths: number[] = this.tokens.map(() => 1);
  /** One cell a byte: the id of a symbol stands in the cells of its first and its last byte, BOUNDARY around each word. */
  private readonly symbols: Int32Array;
  /** Cell → word. */
  private readonly words: Int32Array;
  /** Word → weight in steps. */
  private readonly weights: Float64Array;
  private readonly pairs: Pairs;
  private readonly merged = new Set<number>();
  /** Pairs that the present merge has made more frequent. */
  private readonly risen = new Set<number>();

  constructor(
    pieces: PieceCounts,
    private readonly longestBytes: number,
  ) {
    const bytes = new Uint8Array(pieces.longestBytes);
    let cells = 1;
    for (let word = 0; word < pieces.size; word++) cells += pieces.writeBytes(word, bytes) + 1;
    if (cells > MOST_BYTES) {
      const found = `${pieces.size} different words of ${cells} bytes`;
      throw new LolaError(
        "usage",
        `${found}: at most ${MOST_BYTES} can be counted`,
        "a lower --cap BYTES per language",
      );
    }
    this.symbols = new Int32Array(cells).fill(BOUNDARY);
    this.words = new Int32Array(cells);
    this.weights = Float64Array.from({ length: pieces.size }, (_, word) => Math.round(pieces.weight(word) * STEPS));
    this.pairs = new Pairs(cells);
    let at = 1;
    for (let word = 0; word < pieces.size; word++) {
      const length = pieces.writeBytes(word, bytes);
      for (let i = 0; i < length; i++) {
        this.symbols[at + i] = specials.length + bytes[i]!;
        this.words[at + i] = word;
      }
      for (let i = 0; i < length - 1; i++) {
        this.pairs.link(this.pairs.of(this.symbols[at + i]!, this.symbols[at + i + 1]!), at + i, this.weights[word]!);
      }
      at += length + 1;
    }
    for (let pair = 0; pair < this.pairs.size; pair++) this.pairs.offer(pair);
  }

  /** Merges the most frequent pair wherever it stands. @returns whether there was one of at least `least` occurrences */
  merge(least: number): boolean {
    const { pairs, symbols, lengths } = this;
    const pair = pairs.take();
    if (pair < 0 || pairs.counts[pair]! < least) return false;
    const left = pairs.lefts[pair]!;
    const right = pairs.rights[pair]!;
    const joined = this.join(pair, left, right);
    const length = lengths[left]!;
    this.risen.clear();
    for (let at = pairs.heads[pair]!; at >= 0; at = pairs.heads[pair]!) {
      // Of overlapping pairs in a run of one symbol the leftmost is merged first.
      if (left === right) while (symbols[at - 1] === left) at -= length;
      for (; symbols[at] === left && symbols[at + length] === right; at += length + lengths[right]!) {
        this.mergeAt(at, pair, joined);
      }
    }
    for (const risen of this.risen) if (this.fits(risen)) pairs.offer(risen);
    return true;
  }

  /** Id of the token that is both. Two ways may lead to one spelling, and then a pair that was merged can come again. */
  private join(pair: number, left: number, right: number): number {
    const spelling = this.tokens[left]! + this.tokens[right]!;
    if (!this.merged.has(pair)) this.merges.push(`${this.tokens[left]} ${this.tokens[right]}`);
    this.merged.add(pair);
    const known = this.ids.get(spelling);
    if (known !== undefined) return known;
    const id = this.tokens.push(spelling) - 1;
    this.ids.set(spelling, id);
    this.lengths.push(this.lengths[left]! + this.lengths[right]!);
    return id;
  }

  private fits(pair: number): boolean {
    return this.lengths[this.pairs.lefts[pair]!]! + this.lengths[this.pairs.rights[pair]!]! <= this.longestBytes;
  }

  private mergeAt(at: number, pair: number, joined: number): void {
    const { pairs, symbols, lengths } = this;
    const weight = this.weights[this.words[at]!]!;
    const left = pairs.lefts[pair]!;
    const right = pairs.rights[pair]!;
    const second = at + lengths[left]!;
    const after = second + lengths[right]!;
    const before = symbols[at - 1]!;
    const behind = symbols[after]!;
    pairs.unlink(pair, at, weight);
    if (behind !== BOUNDARY) pairs.unlink(pairs.of(right, behind), second, weight);
    symbols[at] = joined;
    symbols[after - 1] = joined;
    if (behind !== BOUNDARY) this.rise(pairs.of(joined, behind), at, weight);
    if (before !== BOUNDARY) {
      const start = at - lengths[before]!;
      pairs.unlink(pairs.of(before, left), start, weight);
      this.rise(pairs.of(before, joined), start, weight);
    }
  }

  private rise(pair: number, position: number, weight: number): void {
    this.pairs.link(pair, position, weight);
    this.risen.add(pair);
  }
}
