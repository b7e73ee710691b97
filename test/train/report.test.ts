/** The report of a run: all of it there, nothing from elsewhere, names that cannot break the page. */
import { expect, test } from "bun:test";
import { short, ticks } from "../../src/base/scale.ts";
import { lineChart, smoothed } from "../../src/train/charts.ts";
import type { RunConfig } from "../../src/train/config.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { renderReport } from "../../src/train/report.ts";

const config: RunConfig = {
  version: "0.1.0",
  model: {
    ...{ family: "lola_v1", vocabulary: 64, context: 8, width: 8, layers: 4, heads: 2, inner: 16, experts: 3 },
    ...{ normEpsilon: 1e-5, bos: 0, eos: 5, pad: 1 },
  },
  recipe: {
    ...{
      optimizer: "adamw" as const,
      tokens: 320,
      rate: 1e-3,
      finalRate: 1e-4,
      warmup: 0,
      decay: 320,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
    },
    ...{ weightDecay: 0.1, clip: 1, balance: 0.01 },
  },
  shape: { batch: 2, time: 8, recompute: false, dropout: 0 },
  ...{ accumulate: 1, sigma: 0.02, seed: "1", device: { kind: "cpu", name: "<b>fast</b>", software: true } },
  data: { paths: ["corpus"], alpha: 0.3, validation: 0.02, windows: 2 },
  ...{ validateEvery: 10, saveEvery: 10 },
};

const steps = (count: number): TrainingEvent[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ event: "step", step: i + 1, tokens: 16 * (i + 1), loss: i === 3 ? Number.NaN : 4 - i / count, aux: 2 },
    ...{ norm: 1, rate: 1e-3, entropy: [1, 0.9], share: [0.4, 0.6], bad: 0 },
  }));

const validation = (step: number, swa: number, yor: number): TrainingEvent => ({
  ...{ event: "validation", step, tokens: 16 * step, bitsPerByte: (swa + yor) / 2, languages: { swa, yor } },
  load: [
    [0.5, 0.5, 0],
    [0.2, 0.3, 0.5],
  ],
});

const share = { documents: 1, tokens: 500, probability: 0.5, epochs: 0.32 };
const shares = [{ language: "swa", bytes: 2000, ...share }];
const events = [
  ...steps(20),
  validation(10, 3, 4),
  validation(20, 2.25, 2),
  { event: "speed", step: 20, tokensPerSecond: 1234 },
];
const page = renderReport({ name: "run/<script>", config, events: events as TrainingEvent[], shares });

/** What stands for a number that is none. */
const holes = (html: string) =>
  html.replace(/<script>[\s\S]*<\/script>/, "").match(/.{0,60}(NaN|Infinity|undefined|null).{0,20}/g);

test("the page needs nothing from elsewhere", () => {
  expect(page).not.toMatch(/(src|href)=|url\(|https?:|@import/);
});

test("names are text, not markup", () => {
  expect(page).not.toContain("<b>fast");
  expect(page.match(/<script>/g)).toHaveLength(1);
});

test("every tag is closed by its own", () => {
  const open: string[] = [];
  const body = page.replace(/<script>[\s\S]*<\/script>|<style>[\s\S]*<\/style>|<!doctype html>/g, "");
  for (const [, close, name, empty] of body.matchAll(/<(\/?)([a-z0-9]+)[^>]*?(\/?)>/g)) {
    if (name === "meta" || empty) continue;
    if (!close) open.push(name!);
    else expect(open.pop()).toBe(name!);
  }
  expect(open).toEqual([]);
});

test("no number is missing", () => {
  expect(holes(page)).toBeNull();
  for (const text of ["2.1250", "1,234", "layer 1", "layer 3", "33.3 %"]) expect(page).toContain(text);
});

test("languages stand by their bits per byte, the lowest first", () => {
  const rows = [...page.matchAll(/<tr><td>(swa|yor)<\/td><td class="n">([\d.]+)/g)].map(([, l, bits]) => [l, bits]);
  expect(rows).toEqual([
    ["yor", "2.0000"],
    ["swa", "2.2500"],
  ]);
});

test("a run without any step has a page too", () => {
  const empty = renderReport({ name: "run", config, events: [], shares });
  expect(empty).toContain("nothing yet");
  expect(holes(empty)).toBeNull();
});

test("ticks are round and within", () => {
  expect(ticks(0.3, 4.1, 4)).toEqual([1, 2, 3, 4]);
  expect(ticks(0, 1e-4, 2)).toEqual([0, 5e-5, 1e-4]);
  expect(ticks(5, 5, 3)).toEqual([5]);
});

test("numbers are short", () => {
  expect([0, 0.00312, 14.26, 1500, 2.4e9, 3e-5].map(short)).toEqual(["0", "0.00312", "14.3", "1,500", "2.4e9", "3e-5"]);
});

test("a smoothed line begins at its first value and follows", () => {
  const line = smoothed(Array.from({ length: 500 }, (_, i) => [i, i < 250 ? 0 : 1] as const));
  expect(line[0]![1]).toBe(0);
  expect(line[499]![1]).toBeGreaterThan(0.99);
  expect(line[251]![1]).toBeLessThan(0.5);
});

test("long lines are thinned to what can be seen", () => {
  const points = Array.from({ length: 100_000 }, (_, i) => [i, Math.sin(i / 9999)] as const);
  expect(lineChart("x", [{ name: "y", points }]).length).toBeLessThan(12_000);
});
