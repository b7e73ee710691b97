/** Presets: their sizes fit each other and the layout, and the largest is the published model. */
import { expect, test } from "bun:test";
import { validateConfig } from "../../src/checkpoint/config.ts";
import { expectedTensors } from "../../src/checkpoint/layout.ts";
import { elements } from "../../src/device/device.ts";
import { paddedVocabulary, parameterCounts, presets, usualHeads } from "../../src/model/presets.ts";

test("parameters are counted as the layout has them", () => {
  for (const { sizes } of Object.values(presets)) {
    const config = validateConfig({ family: "lola_v1", ...sizes, normEpsilon: 1e-5, bos: 0, eos: 5, pad: 1 });
    let total = 0;
    for (const shape of expectedTensors(config).values()) total += elements(shape);
    expect(parameterCounts(sizes).total).toBe(total);
    expect(parameterCounts({ ...sizes, experts: 1 }).active).toBe(parameterCounts({ ...sizes, experts: 1 }).total);
  }
});

test("lola-v1 is the published model", () => {
  expect(parameterCounts(presets["lola-v1"].sizes).total).toBe(7_459_827_712);
});

test("rows are a multiple of 64, heads divide the width", () => {
  expect([1, 64, 65, 100_000].map(paddedVocabulary)).toEqual([64, 64, 128, 100_032]);
  expect([1, 3, 8, 64, 128, 192, 256, 2048].map(usualHeads)).toEqual([1, 3, 4, 4, 4, 4, 4, 32]);
  for (let width = 1; width < 600; width++) expect(width % usualHeads(width)).toBe(0);
});
