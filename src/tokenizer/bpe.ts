/** Byte-pair merges of one pre-token: lowest rank first, leftmost among equals, in n log n. */

/** Symbols of a pre-token that are worth keeping memory for between calls. */
const SMALL = 4096;
/** Positions within a pre-token are below this, ranks below 2^22, so that rank · 2^31 + position is exact. */
const POSITIONS = 2 ** 31;
/** Most merges or tokens that a tokenizer may have. */
export const MOST_TOKENS = 2 ** 22;

/** Working memory for a pre-token of up to `size` bytes: a linked list of symbols and a heap of candidate merges. */
class Scratch {
  readonly symbols: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** Rank of the pair (position, next position), or -1: a heap entry that disagrees is stale. */
  readonly ranks: Int32Array;
  readonly heap: Float64Array;
  held = 0;

  constructor(readonly size: number) {
    this.symbols = new Int32Array(size);
    this.next = new Int32Array(size);
    this.previous = new Int32Array(size);
    this.ranks = new Int32Array(size);
    // One candidate for each neighbouring pair; then each merge takes one and brings two at most.
    this.heap = new Float64Array(2 * size);
  }

  push(key: number): void {
    const { heap } = this;
    let i = this.held++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= key) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = key;
  }

  pop(): number {
    const { heap } = this;
    const top = heap[0]!;
    const last = heap[--this.held]!;
    const { held } = this;
    let i = 0;
    for (let child = 1; child < held; child = 2 * i + 1) {
      if (child + 1 < held && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

export class Merges {
  private readonly scratch = new Scratch(SMALL);
  /** Open addressing, four words a slot: left id, right id, rank, unused; -1 where empty. */
  private readonly table: Int32Array;
  private readonly mask: number;
  /** rank → id of the merged token. */
  private readonly merged: Int32Array;

  /** @param triples left id, right id, merged id of each merge, flat, by rank */
  constructor(triples: Int32Array) {
    const count = triples.length / 3;
    let slots = 16;
    while (slots < 3 * count) slots *= 2;
    this.mask = slots - 1;
    this.table = new Int32Array(4 * slots).fill(-1);
    this.merged = new Int32Array(count);
    for (let rank = 0; rank < count; rank++) {
      const left = triples[3 * rank]!;
      const right = triples[3 * rank + 1]!;
      const at = this.slot(left, right);
      this.table[at] = left;
      this.table[at + 1] = right;
      this.table[at + 2] = rank;
      this.merged[rank] = triples[3 * rank + 2]!;
    }
  }

  /** Index in `table` of the pair, or of the empty slot where it would stand. */
  private slot(left: number, right: number): number {
    const { table, mask } = this;
    let hash = Math.imul(left, 0x9e3779b1) + Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const at = 4 * i;
      if (table[at]! === -1 || (table[at] === left && table[at + 1] === right)) return at;
    }
  }

  /**
   * Merges a pre-token in place.
   * @param ids [count ≥ 1 from `from`] ids of single bytes; overwritten from `from` on by the merged ids
   * @returns the number of ids left
   */
  apply(ids: Uint32Array, from: number, count: number): number {
    if (count === 1) return 1;
    const scratch = count <= SMALL ? this.scratch : new Scratch(count);
    const { symbols, next, previous, ranks } = scratch;
    const { table, merged } = this;
    scratch.held = 0;
    for (let i = 0; i < count; i++) {
      symbols[i] = ids[from + i]!;
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < count - 1; i++) {
      const rank = table[this.slot(symbols[i]!, symbols[i + 1]!) + 2]!;
      ranks[i] = rank;
      if (rank >= 0) scratch.push(rank * POSITIONS + i);
    }
    ranks[count - 1] = -1;

    while (scratch.held > 0) {
      const key = scratch.pop();
      const rank = Math.floor(key / POSITIONS);
      const i = key - rank * POSITIONS;
      if (ranks[i] !== rank) continue;
      const right = next[i]!;
      const after = next[right]!;
      symbols[i] = merged[rank]!;
      next[i] = after;
      ranks[right] = -1;
      if (after < count) {
        previous[after] = i;
        const joined = table[this.slot(symbols[i]!, symbols[after]!) + 2]!;
        ranks[i] = joined;
        if (joined >= 0) scratch.push(joined * POSITIONS + i);
      }
      const before = previous[i]!;
      if (before >= 0) {
        const joined = table[this.slot(symbols[before]!, symbols[i]!) + 2]!;
        ranks[before] = joined;
        if (joined >= 0) scratch.push(joined * POSITIONS + before);
      }
    }

    let left = 0;
    for (let i = 0; i < count; i = next[i]!) ids[from + left++] = symbols[i]!;
    return left;
  }
}
