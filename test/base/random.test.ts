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

test("unit numbers are in [0, 1) and exact in f32", () => {
  expect(unit(0)).toBe(0);
  expect(unit(0xffffffff)).toBe(1 - 2 ** -24);
  expect(Math.fround(unit(0xdeadbeef))).toBe(unit(0xdeadbeef));
});

test("a 64-bit seed keeps all its bits", () => {
  expect(seedWords(0x123456789abcdef0n)).toEqual([0x9abcdef0, 0x12345678]);
});
