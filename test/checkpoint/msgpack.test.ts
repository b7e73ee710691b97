/** The canonical header encoding: what goes in comes out, in one form only. */
import { expect, test } from "bun:test";
import { decode, encode, maximumDepth } from "../../src/checkpoint/msgpack.ts";

test("every length class and integer class comes back, and encodes to the same bytes", () => {
  const texts = [0, 1, 31, 32, 85, 86, 127, 128, 255, 256, 21845, 21846, 65535, 65536].flatMap((n) =>
    ["x", "é", "日", "😀"].map((c) => c.repeat(n)),
  );
  const integers = [0, 1, 127, 128, 255, 256, 65535, 65536, 2 ** 31, 2 ** 32 - 1];
  const value = {
    texts,
    integers,
    fractions: [1e-5, 0.5, -1.25, 5e-324, 1.7e-308],
    flags: [true, false],
    arrays: [0, 15, 16, 65535, 65536].map((n) => new Array(n).fill(7)),
    maps: [0, 15, 16, 300].map((n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i]))),
  };
  const bytes = encode(value);
  expect(decode(bytes)).toEqual(value);
  expect(Buffer.compare(encode(decode(bytes)), bytes)).toBe(0);
});

test("the order of keys does not count, undefined members are left out", () => {
  expect(encode({ b: 1, a: 2, c: undefined })).toEqual(encode({ a: 2, b: 1 }));
});

test("what has no form is the caller's mistake", () => {
  let deep: unknown = 0;
  for (let i = 0; i <= maximumDepth; i++) deep = [deep];
  for (const value of [
    null,
    -1,
    2 ** 32,
    -0,
    Number.NaN,
    "\ud800",
    new Date(0),
    new Uint8Array(1),
    1n,
    { "": 1 },
    { __proto__x: 1 },
    deep,
  ]) {
    expect(() => encode(value)).toThrow(TypeError);
  }
});

test("a vocabulary of 100,000 tokens and as many merges is read in less than a second", () => {
  const vocabulary = Array.from({ length: 100_000 }, (_, i) => `Ġлола${i.toString(36)}`);
  const bytes = encode({ merges: vocabulary.map((token) => `${token} x`), vocabulary });
  expect(bytes.length).toBeGreaterThan(3_000_000);
  const start = performance.now();
  decode(bytes);
  expect(performance.now() - start).toBeLessThan(1000);
});
