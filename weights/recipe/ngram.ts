/** A byte n-gram model with interpolated, modified Kneser–Ney smoothing: the bar that a trained model must clear. */

/** Bytes there are: an n-gram's key is its bytes read as a number in this base. */
const symbols = 256;

/**
 * Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", §3: counts of the longest
 * n-grams as they are, of shorter ones by how many different bytes come before them, three discounts an order.
 */
export class ByteNgram {
  /** Per order (0: single bytes): count by key of context and byte. */
  private readonly counts: Map<number, number>[] = [];
  /** Per order, by key of context: sum of counts, and how many of its bytes count once, twice, three times or more. */
  private readonly contexts: Map<number, Float64Array>[] = [];
  private readonly discounts: [number, number, number][] = [];

  /** @param text training bytes; `order`: bytes of an n-gram, at most 6, so that its key is exact in a double */
  constructor(
    text: Uint8Array,
    private readonly order: number,
  ) {
    for (let n = 1; n <= order; n++) {
      const counts = new Map<number, number>();
      let key = 0;
      for (let i = 0; i < text.length; i++) {
        key = next(key, text[i]!, n);
        if (i >= n - 1) counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      this.counts.push(counts);
    }
    for (let n = 1; n < order; n++) {
      const continuations = new Map<number, number>();
      for (const key of this.counts[n]!.keys()) {
        const shorter = key % symbols ** n;
        continuations.set(shorter, (continuations.get(shorter) ?? 0) + 1);
      }
      this.counts[n - 1] = continuations;
    }
    for (const counts of this.counts) {
      const contexts = new Map<number, Float64Array>();
      const having = [0, 0, 0, 0];
      for (const [key, count] of counts) {
        const context = Math.floor(key / symbols);
        let sums = contexts.get(context);
        if (!sums) contexts.set(context, (sums = new Float64Array(4)));
        sums[0]! += count;
        sums[Math.min(count, 3)]! += 1;
        if (count <= 4) having[count - 1]! += 1;
      }
      this.contexts.push(contexts);
      this.discounts.push(discountsOf(having));
    }
  }

  /** Bits that the model needs for `text`, whose first bytes are given no context but their own. */
  bits(text: Uint8Array): number {
    let bits = 0;
    const keys = new Array<number>(this.order).fill(0);
    for (let i = 0; i < text.length; i++) {
      let share = 1 / symbols;
      for (let n = 1; n <= Math.min(this.order, i + 1); n++) {
        const key = next(keys[n - 1]!, text[i]!, n);
        keys[n - 1] = key;
        const sums = this.contexts[n - 1]!.get(Math.floor(key / symbols));
        if (!sums) continue;
        const count = this.counts[n - 1]!.get(key) ?? 0;
        const [one, two, more] = this.discounts[n - 1]!;
        const discount = count === 0 ? 0 : count === 1 ? one : count === 2 ? two : more;
        const left = (one * sums[1]! + two * sums[2]! + more * sums[3]!) / sums[0]!;
        share = (count - discount) / sums[0]! + left * share;
      }
      bits -= Math.log2(share);
    }
    return bits;
  }
}

/** The key of the n-gram that ends one byte further on. */
function next(key: number, byte: number, n: number): number {
  return (key % symbols ** (n - 1)) * symbols + byte;
}

/** Discounts for counts of one, two, three or more, from how many n-grams occur once, twice, three and four times. */
function discountsOf(having: readonly number[]): [number, number, number] {
  const [once, twice, thrice, fourfold] = having as [number, number, number, number];
  const base = once / (once + 2 * twice || 1);
  const discount = (count: number, lower: number, higher: number) =>
    lower > 0 ? Math.min(count, Math.max(0, count - ((count + 1) * base * higher) / lower)) : count / 2;
  return [discount(1, once, twice), discount(2, twice, thrice), discount(3, thrice, fourfold)];
}
