/** Philox against the known answers of its authors' Random123 library. */
import { expect, test } from "bun:test";
import { philox, seedWords, unit } from "../../src/base/random.ts";

test("Philox 4×32-10 gives the published answers", () => {
  expect(philox([0, 0], [0, 0, 0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  expect(philox([ones, ones], [ones, ones, ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  expect(philox([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344])).toEqual([
    0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
  ]);
});

/** The same in whole numbers of any size. */
function exact(key: readonly number[], counter: readonly number[]): number[] {
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  const low = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [a, b] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
    [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & low, (a >> 32n) ^ c3 ^ k1, a & low];
    [k0, k1] = [(k0 + 0x9e3779b9n) & low, (k1 + 0xbb67ae85n) & low];
  }
  return [c0, c1, c2, c3].map(Number);
}

test("its products are exact: 20,000 blocks against whole numbers of any size", () => {
  let [key, counter] = [philox([1, 2], [3, 4, 5, 6]), philox([7, 8], [9, 10, 11, 12])];
  for (let i = 0; i < 20_000; i++) {
    const [a, b] = key;
    const block = philox([a, b], counter);
    expect(block).toEqual(exact([a, b], counter) as typeof block);
    [key, counter] = [counter, block];
  }
});

test("unit numbers are in [0, 1) and exact in f32", () => {
  expect(unit(0)).toBe(0);
  expect(unit(0xffffffff)).toBe(1 - 2 ** -24);
  expect(Math.fround(unit(0xdeadbeef))).toBe(unit(0xdeadbeef));
});

test("a 64-bit seed keeps all its bits", () => {
  expect(seedWords(0x123456789abcdef0n)).toEqual([0x9abcdef0, 0x12345678]);
});
