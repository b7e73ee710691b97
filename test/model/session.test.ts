/** Sessions: the cache's bookkeeping, limits, chunks and seeds, on the reference engine. */
import { expect, test } from "bun:test";
import { LolaError } from "../../src/base/errors.ts";
import { openReference } from "../../src/device/reference.ts";
import { cacheTypes } from "../../src/model/cache.ts";
import { greedy, type Sampling } from "../../src/model/session.ts";
import { tinyConfig, tinySession } from "./tiny.ts";

const device = openReference();
const prompt = [7, 100, 3, 250, 9, 9, 42];
const free: Sampling = { ...greedy, temperature: 1, seed: 5n };

async function run(session: ReturnType<typeof tinySession>, sampling: Sampling, count: number, stream = 0) {
  session.rewind();
  const ids = [(await session.feed(prompt, sampling, { stream })).id];
  while (ids.length < count) ids.push((await session.next()).id);
  return ids;
}

test.each(cacheTypes)("a prompt fed in chunks draws what it draws whole, cache in %s", async (cache) => {
  const whole = await run(tinySession(device, { cache }), free, 12);
  for (const chunk of [1, 2, 3, 6]) expect(await run(tinySession(device, { cache, chunk }), free, 12)).toEqual(whole);
});

test("the same seed draws the same, another seed or stream something else", async () => {
  const session = tinySession(device);
  const first = await run(session, free, 12);
  expect(await run(session, free, 12)).toEqual(first);
  expect(await run(session, { ...free, seed: 6n }, 12)).not.toEqual(first);
  expect(await run(session, { ...free, seed: 5n + (1n << 32n) }, 12)).not.toEqual(first);
  expect(await run(session, free, 12, 1)).not.toEqual(first);
});

test.each(cacheTypes)("what is shared with the cache need not be fed again, cache in %s", async (cache) => {
  const session = tinySession(device, { cache });
  const fresh = await run(session, greedy, 5);
  expect(session.shared([...prompt, 299, 299])).toBe(prompt.length);
  session.rewind(4);
  expect(session.length).toBe(4);
  const drawn = [(await session.feed(prompt.slice(4), greedy, { penalised: prompt })).id];
  while (drawn.length < 5) drawn.push((await session.next()).id);
  expect(drawn).toEqual(fresh);
});

test("ids at or above `allowed` are never drawn", async () => {
  const session = tinySession(device, { allowed: 20 });
  const drawn = await run(session, { ...free, temperature: 100 }, 40);
  expect(Math.max(...drawn)).toBeLessThan(20);
});

test.each(cacheTypes)("scores of a sequence equal its draws' log-probabilities, cache in %s", async (cache) => {
  const session = tinySession(device, { cache });
  const first = await session.feed(prompt, greedy, { logits: true });
  session.rewind();
  const { logits, experts, probs } = await session.scores(prompt);
  const last = logits.subarray(-tinyConfig.vocabulary);
  expect([...first.logits!]).toEqual([...last]);
  expect(experts.map((layer) => layer.at(-1)!)).toEqual([...first.experts]);
  for (const prob of probs[0]!) expect(prob).toBeGreaterThanOrEqual(1 / tinyConfig.experts);
});

test.each(cacheTypes)("a full context is refused with the numbers, cache in %s", async (cache) => {
  const session = tinySession(device, { cache });
  const long = Array(tinyConfig.context).fill(1);
  const failure = await session.feed(long, greedy).catch((error) => error);
  expect(failure).toBeInstanceOf(LolaError);
  expect(failure.exitCode).toBe(2);
  expect(failure.message).toMatch(/\b48\b.*\b48\b/);
  await session.feed(long.slice(1), greedy);
  await session.next();
  expect(await session.next().catch((error) => error)).toBeInstanceOf(LolaError);
});

test("an id outside the vocabulary is refused", async () => {
  const failure = await tinySession(device)
    .feed([3, 301], greedy)
    .catch((error) => error);
  expect(failure.message).toContain("301");
});
