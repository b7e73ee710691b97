/** 16-bit floats: every pattern, every tie between neighbours, the edges, against the formats' definitions. */
import { expect, test } from "bun:test";
import {
  brainsToFloats,
  floatsToBrains,
  floatsToHalves,
  fromFloats,
  halvesToFloats,
  toFloats,
} from "../../src/base/float.ts";
import { floatToHalf, halfToFloat } from "./half.ts";

const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
const finiteHalves = patterns.filter((h) => (h & 0x7c00) !== 0x7c00);

test("every f16 widens to its value and comes back", () => {
  const wide = halvesToFloats(patterns);
  for (let h = 0; h < 65536; h++) if (!Object.is(wide[h]!, halfToFloat(h))) throw new Error(`${h}: ${wide[h]}`);
  const back = floatsToHalves(wide);
  for (let h = 0; h < 65536; h++) if (!Number.isNaN(wide[h]!) && back[h] !== h) throw new Error(`${h}: ${back[h]}`);
});

test("f32 → f16 rounds to nearest, ties to even, at every boundary, in bulk and one by one", () => {
  const positive = finiteHalves.filter((h) => h < 0x7bff);
  const cases: [number, number][] = [];
  for (const h of positive) {
    const middle = (halfToFloat(h) + halfToFloat(h + 1)) / 2;
    const gap = halfToFloat(h + 1) - halfToFloat(h);
    cases.push([middle, h & 1 ? h + 1 : h], [middle - gap / 4, h], [middle + gap / 4, h + 1]);
  }
  cases.push([65519.996, 0x7bff], [65520, 0x7c00], [1e10, 0x7c00], [2 ** -25, 0], [2 ** -25 * 1.001, 1], [2 ** -30, 0]);
  const bulk = floatsToHalves(Float32Array.from(cases, ([value]) => value));
  for (const [i, [value, expected]] of cases.entries()) {
    if (bulk[i] !== expected || floatToHalf(value) !== expected)
      throw new Error(`${value}: ${bulk[i]}, ${floatToHalf(value)}, expected ${expected}`);
    if (floatToHalf(-value) !== (expected | 0x8000)) throw new Error(`-${value}`);
  }
  expect(Number.isNaN(halfToFloat(floatToHalf(Number.NaN)))).toBe(true);
});

test("bf16 is the upper half of f32, rounded to nearest even", () => {
  expect([
    ...floatsToBrains(Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38, Number.NEGATIVE_INFINITY)),
  ]).toEqual([0x3f80, 0x3f80, 0x3f82, 0x7f80, 0xff80]);
  const wide = brainsToFloats(patterns);
  const back = floatsToBrains(wide);
  for (let b = 0; b < 65536; b++) if (!Number.isNaN(wide[b]!) && back[b] !== b) throw new Error(`${b}: ${back[b]}`);
  expect(Number.isNaN(brainsToFloats(floatsToBrains(Float32Array.of(Number.NaN)))[0]!)).toBe(true);
});

test("stored bytes may lie unaligned", () => {
  for (const type of ["f32", "f16", "bf16"] as const) {
    const bytes = fromFloats(Float32Array.of(0.5, -2, 3), type);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...toFloats(shifted.subarray(1), type)]).toEqual([0.5, -2, 3]);
  }
});
