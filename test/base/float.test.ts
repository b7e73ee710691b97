/** 16-bit floats: every f16 bit pattern there and back, and rounding to nearest even. */
import { expect, test } from "bun:test";
import { brainsToFloats, floatsToBrains, floatToHalf, fromFloats, halfToFloat, toFloats } from "../../src/base/float.ts";

test("every f16 value survives f16 → f32 → f16", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = halfToFloat(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(halfToFloat(floatToHalf(value)))).toBe(true);
    else expect(floatToHalf(value)).toBe(bits);
  }
});

test("f32 → f16 rounds to nearest even, as JavaScript's own f16 does", () => {
  let state = 1;
  for (let i = 0; i < 100_000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = new Float32Array(Uint32Array.of(state).buffer)[0]!;
    if (!Number.isNaN(value)) expect(halfToFloat(floatToHalf(value))).toBe(Math.f16round(value));
  }
});

test("bf16 is the upper half of f32, rounded to nearest even", () => {
  expect([...floatsToBrains(Float32Array.of(1, -2, 1.00390625, 1.01171875, Number.POSITIVE_INFINITY))]).toEqual([
    0x3f80, 0xc000, 0x3f80, 0x3f82, 0x7f80,
  ]);
  expect(brainsToFloats(floatsToBrains(Float32Array.of(Number.NaN)))[0]).toBeNaN();
});

test("stored bytes may stand anywhere in a buffer", () => {
  const bytes = new Uint8Array(9);
  bytes.set(fromFloats(Float32Array.of(1.5, -3), "f32"), 1);
  expect([...toFloats(bytes.subarray(1), "f32")]).toEqual([1.5, -3]);
});
