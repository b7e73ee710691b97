/** The measuring itself: it feeds what it says, accounts for every step, and stays within the context. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openGpu } from "../../src/device/gpu/gpu.ts";
import { openReference } from "../../src/device/reference.ts";
import { benchPrompt, measureModels, median, positionsFor, timeKernels } from "../../src/generate/measure.ts";
import { loadModel, openSource } from "../../src/model/open.ts";

const work = { prompt: 7, tokens: 3, rounds: 3 };

function session() {
  const device = openReference();
  const source = openSource(join(import.meta.dir, "../../../shared/fixtures/tiny-lola"));
  return loadModel(device, source).session({ context: positionsFor(work) });
}

test("prefill and decode are timed over the tokens asked for", async () => {
  const s = session();
  const [speed] = await measureModels([s], 1000, work, { bandwidth: 1e9, flops: 1e9 });
  const { prefill, decode } = speed!;
  expect(s.length).toBe(work.prompt + work.tokens);
  for (const [speed, tokens] of [
    [prefill, 7],
    [decode, 3],
  ] as const) {
    expect(speed.tokens).toBe(tokens);
    expect(speed.seconds).toBeGreaterThan(0);
    expect(speed.tokensPerSecond).toBeCloseTo(tokens / speed.seconds, 6);
    expect(speed.roofFraction!).toBeGreaterThanOrEqual(Math.max(speed.bandwidth, speed.flops) / 1.0001e9);
    expect(speed.roofFraction!).toBeLessThanOrEqual((speed.bandwidth + speed.flops) / 1e9);
    expect(speed.tokensPerCpuSecond).toBeCloseTo(tokens / speed.cpuSeconds, 6);
  }
});

test("several models take turns", async () => {
  const sessions = [session(), session()];
  const order: number[] = [];
  for (const [i, s] of sessions.entries()) {
    const feed = s.feed.bind(s);
    s.feed = (...args) => {
      order.push(i);
      return feed(...args);
    };
  }
  const rounds: number[] = [];
  const speeds = await measureModels(sessions, 1000, work, undefined, (round) => rounds.push(round));
  expect(rounds).toEqual([0, 1, 2, 3]);
  expect(order).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
  // The same model does the same work, and without a roof there is no share of it.
  const flops = speeds.map(({ decode }) => Math.round(decode.flops * decode.seconds));
  expect(flops[0]).toBe(flops[1]!);
  expect(speeds[0]!.decode.roofFraction).toBeUndefined();
});

test("experts in several parts are no more work than in one", async () => {
  const source = openSource(join(import.meta.dir, "../../../shared/fixtures/tiny-lola"));
  const workWith = async (bindingLimit: number) => {
    const device = await openGpu({ software: true, bindingLimit });
    const s = loadModel(device, source).session({ context: positionsFor(work) });
    const parts = s.weights.layers.flatMap(({ up }) => up.w.parts).length;
    const [whole] = await measureModels([s], 1000, { ...work, rounds: 1 }, undefined);
    device.close();
    const bytes = [whole!.prefill, whole!.decode].map((speed) => Math.round(speed.bandwidth * speed.seconds));
    return { parts, bytes };
  };
  const one = await workWith(1 << 27);
  const many = await workWith(48 << 10);
  expect(many.parts).toBeGreaterThan(one.parts);
  expect(many.bytes).toEqual(one.bytes);
}, 60_000);

test("a prompt of several chunks counts the work of each", async () => {
  const device = openReference();
  const model = loadModel(device, openSource(join(import.meta.dir, "../../../shared/fixtures/tiny-lola")));
  const flopsOf = async (chunk: number) => {
    const session = model.session({ context: 40, chunk });
    const [speed] = await measureModels([session], 1000, { ...work, prompt: 20 }, undefined);
    return speed!.prefill.flops * speed!.prefill.seconds;
  };
  expect(await flopsOf(8)).toBeCloseTo(await flopsOf(32), 0);
});

test("kernel times cover every step of both programs, slowest first, and scale with the roof", async () => {
  const s = session();
  const bare = await timeKernels(s, 1000, work, undefined);
  for (const [program, rows] of [
    [s.programs.prompt, bare.prefill],
    [s.programs.decode, bare.decode],
  ] as const) {
    expect(rows.reduce((sum, k) => sum + k.steps, 0)).toBe(program.steps.length);
    expect(rows.map((k) => k.seconds)).toEqual(rows.map((k) => k.seconds).sort((a, b) => b - a));
    expect(rows.every((k) => k.roofFraction === undefined)).toBe(true);
  }
  const { decode } = await timeKernels(s, 1000, work, { bandwidth: 1e9, flops: 1e9 });
  for (const k of decode) {
    const roof = Math.max(k.bandwidth, k.flops) / 1e9;
    expect(k.roofFraction!).toBeCloseTo(roof, 6);
  }
});

test("the prompt of benches is spread over the vocabulary, and always the same", () => {
  const ids = benchPrompt(512, 1000);
  expect(ids).toEqual(benchPrompt(512, 1000));
  expect(Math.max(...ids)).toBeLessThan(1000);
  expect(new Set(ids).size).toBeGreaterThan(300);
});

test("medians", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});
