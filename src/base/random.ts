/** Counter-based random numbers: the value depends on (seed, counter) alone, so resuming needs no state. */

/** High 32 bits of a product of which `low` are the low ones: the rounding of a · b, at most 2^11, is far below 2^31. */
function high(a: number, b: number, low: number): number {
  return Math.round((a * b - low) * 2 ** -32) >>> 0;
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
  let k0 = key[0] >>> 0;
  let k1 = key[1] >>> 0;
  let c0 = counter[0] >>> 0;
  let c1 = counter[1] >>> 0;
  let c2 = counter[2] >>> 0;
  let c3 = counter[3] >>> 0;
  for (let round = 0; round < 10; round++) {
    const l0 = Math.imul(0xd2511f53, c0) >>> 0;
    const l1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    const h0 = high(0xd2511f53, c0, l0);
    const h1 = high(0xcd9e8d57, c2, l1);
    c0 = (h1 ^ c1 ^ k0) >>> 0;
    c1 = l1;
    c2 = (h0 ^ c3 ^ k1) >>> 0;
    c3 = l0;
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
