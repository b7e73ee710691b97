/** Counter-based random numbers: the value depends on (seed, counter) alone, so resuming needs no state. */

/** High and low 32 bits of a 32 × 32 bit product. */
function multiply(a: number, b: number): [high: number, low: number] {
  const low = Math.imul(a, b) >>> 0;
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const mid = ah * bl + Math.floor((al * bl) / 65536);
  const high = ah * bh + Math.floor(mid / 65536) + Math.floor(((mid % 65536) + al * bh) / 65536);
  return [high >>> 0, low];
}

/**
 * Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * @param key two 32-bit words: the seed, low word first
 * @param counter four 32-bit words
 * @returns four independent 32-bit words
 */
export function philox(
  key: readonly [number, number],
  counter: readonly [number, number, number, number],
): [number, number, number, number] {
  let [k0, k1] = [key[0] >>> 0, key[1] >>> 0];
  let [c0, c1, c2, c3] = counter.map((c) => c >>> 0) as [number, number, number, number];
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = multiply(0xd2511f53, c0);
    const [h1, l1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A 32-bit word → a number in [0, 1) with 24 bits, exact in f32. */
export function unit(word: number): number {
  return (word >>> 8) * 2 ** -24;
}

/** A 64-bit seed as the two words of a Philox key. */
export function seedWords(seed: bigint): [low: number, high: number] {
  return [Number(seed & 0xffffffffn), Number((seed >> 32n) & 0xffffffffn)];
}
