/** Neighbouring symbols of a corpus: how often each pair occurs, exactly where, and which one is the most frequent. */

const EMPTY = 0;

/**
 * Every pair (left, right) met so far has an index below `size`. The positions where it stands form a doubly linked list,
 * which is always exact; only the heap is lazy. Invariant: each candidate has a heap entry with at least its count.
 */
export class Pairs {
  size = 0;
  lefts = new Int32Array(1 << 16);
  rights = new Int32Array(1 << 16);
  /** Weighted occurrences; whole numbers, so that sums are exact in any order. */
  counts = new Float64Array(1 << 16);
  /** First position of the pair, or -1. */
  heads = new Int32Array(1 << 16);
  /** slot → pair + 1, or EMPTY; never more than half full. */
  private slots = new Int32Array(1 << 18);
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private heapCounts = new Float64Array(1 << 16);
  private heapPairs = new Int32Array(1 << 16);
  private held = 0;

  /** @param positions how many there are */
  constructor(positions: number) {
    this.next = new Int32Array(positions);
    this.previous = new Int32Array(positions);
  }

  /** Index of the pair, made if it is new. */
  of(left: number, right: number): number {
    const mask = this.slots.length - 1;
    let slot = mix(left, right) & mask;
    for (let entry = this.slots[slot]!; entry !== EMPTY; entry = this.slots[slot]!) {
      if (this.lefts[entry - 1] === left && this.rights[entry - 1] === right) return entry - 1;
      slot = (slot + 1) & mask;
    }
    if (this.size === this.lefts.length) this.grow();
    const pair = this.size++;
    this.lefts[pair] = left;
    this.rights[pair] = right;
    this.heads[pair] = -1;
    this.slots[slot] = pair + 1;
    if (2 * this.size > this.slots.length) this.rehash();
    return pair;
  }

  /** The pair stands at this position, `weight` times. */
  link(pair: number, position: number, weight: number): void {
    const head = this.heads[pair]!;
    this.next[position] = head;
    this.previous[position] = -1;
    if (head >= 0) this.previous[head] = position;
    this.heads[pair] = position;
    this.counts[pair]! += weight;
  }

  /** The pair stands there no more. */
  unlink(pair: number, position: number, weight: number): void {
    const next = this.next[position]!;
    const previous = this.previous[position]!;
    if (previous >= 0) this.next[previous] = next;
    else this.heads[pair] = next;
    if (next >= 0) this.previous[next] = previous;
    this.counts[pair]! -= weight;
  }

  /** Makes the pair a candidate with its present count: to be called after the count has grown. */
  offer(pair: number): void {
    if (this.held === this.heapPairs.length) {
      this.heapPairs = widened(this.heapPairs);
      this.heapCounts = widened(this.heapCounts);
    }
    const { heapPairs, heapCounts } = this;
    const count = this.counts[pair]!;
    let i = this.held++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.precedes(count, pair, heapCounts[parent]!, heapPairs[parent]!)) break;
      heapCounts[i] = heapCounts[parent]!;
      heapPairs[i] = heapPairs[parent]!;
      i = parent;
    }
    heapCounts[i] = count;
    heapPairs[i] = pair;
  }

  /** Takes the most frequent candidate: on a tie the one with the lower left symbol, then the lower right. -1: none is left. */
  take(): number {
    while (this.held > 0) {
      const count = this.heapCounts[0]!;
      const pair = this.heapPairs[0]!;
      this.drop();
      const present = this.counts[pair]!;
      if (present === count) return pair;
      // Above the present count: it has fallen since. Below: it has grown, and a newer entry says so.
      if (count > present && present > 0) this.offer(pair);
    }
    return -1;
  }

  private drop(): void {
    const { heapPairs, heapCounts } = this;
    const held = --this.held;
    const count = heapCounts[held]!;
    const pair = heapPairs[held]!;
    let i = 0;
    for (let child = 1; child < held; child = 2 * i + 1) {
      if (
        child + 1 < held &&
        this.precedes(heapCounts[child + 1]!, heapPairs[child + 1]!, heapCounts[child]!, heapPairs[child]!)
      ) {
        child++;
      }
      if (!this.precedes(heapCounts[child]!, heapPairs[child]!, count, pair)) break;
      heapCounts[i] = heapCounts[child]!;
      heapPairs[i] = heapPairs[child]!;
      i = child;
    }
    heapCounts[i] = count;
    heapPairs[i] = pair;
  }

  private precedes(count: number, pair: number, otherCount: number, other: number): boolean {
    if (count !== otherCount) return count > otherCount;
    const left = this.lefts[pair]! - this.lefts[other]!;
    return left !== 0 ? left < 0 : this.rights[pair]! < this.rights[other]!;
  }

  private grow(): void {
    this.lefts = widened(this.lefts);
    this.rights = widened(this.rights);
    this.counts = widened(this.counts);
    this.heads = widened(this.heads);
  }

  private rehash(): void {
    this.slots = new Int32Array(2 * this.slots.length);
    const mask = this.slots.length - 1;
    for (let pair = 0; pair < this.size; pair++) {
      let slot = mix(this.lefts[pair]!, this.rights[pair]!) & mask;
      while (this.slots[slot] !== EMPTY) slot = (slot + 1) & mask;
      this.slots[slot] = pair + 1;
    }
  }
}

function mix(left: number, right: number): number {
  const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

/** The same numbers with room for as many more, or for `length`. */
export function widened<A extends Int32Array | Float64Array | Uint16Array>(array: A, length = 2 * array.length): A {
  const wide = new (array.constructor as new (length: number) => A)(length);
  wide.set(array);
  return wide;
}
