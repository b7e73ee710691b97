/** A shuffled order that is computed, not stored: where the i-th of n things stands. */

import { philox } from "../base/random.ts";

const ROUNDS = 4;

/**
 * A permutation of 0 … n − 1: a Feistel network over a × b ≥ n cells, walked on while it leads outside
 * (Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
 * @param key of Philox; another key, another permutation
 * @param salt three 32-bit words, of which the same holds
 * @returns the number at place `i`
 */
export function permuted(
  i: number,
  n: number,
  key: readonly [number, number],
  salt: readonly [number, number, number],
): number {
  const a = Math.ceil(Math.sqrt(n));
  const b = Math.ceil(n / a);
  let found = i;
  do {
    let row = Math.floor(found / b);
    let column = found % b;
    for (let round = 0; round < ROUNDS; round++) {
      row = (row + philox(key, [column, salt[0] ^ (round << 24), salt[1], salt[2]])[0]) % a;
      column = (column + philox(key, [row, salt[0] ^ (round << 24), salt[1], salt[2]])[1]) % b;
    }
    found = row * b + column;
  } while (found >= n);
  return found;
}
