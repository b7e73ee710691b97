/** Likelihoods computed on the device against those of the fixtures' reference, whole and by windows. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openDevice } from "../../src/device/choose.ts";
import { Likelihood } from "../../src/model/likelihood.ts";
import { loadModel, openSource } from "../../src/model/open.ts";
import { greedy } from "../../src/model/session.ts";

const folder = join(import.meta.dir, "../../../shared/fixtures/udhr-lola");
const expected = await Bun.file(join(folder, "expected.json")).json();
const { device } = await openDevice("cpu");
const model = loadModel(device, openSource(folder));
const { config, tokenizer } = model;
const likelihood = new Likelihood(device, config, model.weights, 3);
afterAll(() => device.close());

const text = (language: string) => Bun.file(join(folder, "texts", `${language}.txt`)).text();

test("the first 257 tokens of each text, several at a time, as PyTorch scores them", async () => {
  for (const [language, { nll_nats: nats }] of Object.entries<{ nll_nats: number }>(expected.first_257_tokens)) {
    const ids = Uint32Array.from(tokenizer.encode(await text(language))).subarray(0, 257);
    const whole = { tokens: ids.subarray(0, 256), targets: ids.subarray(1) };
    const part = { tokens: ids.subarray(0, 100), targets: ids.subarray(1, 101) };
    const [first, second, third] = await likelihood.score([part, whole, part]);
    expect(Math.abs(second!.reduce((a, b) => a + b, 0) / nats - 1)).toBeLessThan(1e-5);
    expect(first!).toEqual(third!);
    for (const [i, loss] of first!.entries()) expect(Math.abs(loss - second![i]!)).toBeLessThan(1e-3);
  }
});

test("what is observed agrees with a session's choices and with the losses", async () => {
  const observer = new Likelihood(device, config, model.weights, 2, true);
  const ids = Uint32Array.from(tokenizer.encode(await text("fra"))).subarray(0, 60);
  const sequence = { tokens: ids.subarray(0, 59), targets: ids.subarray(1) };
  const [short, seen] = await observer.observe([{ tokens: ids.subarray(0, 5), targets: ids.subarray(1, 6) }, sequence]);
  const [losses] = await observer.score([sequence]);
  expect(seen!.losses).toEqual(losses!);
  expect(seen!.experts.length).toBe(3);
  expect(new Set(seen!.experts.flatMap((experts) => [...experts])).size).toBeGreaterThan(3);
  expect(short!.best).toEqual(seen!.best.slice(0, 5));
  const session = model.session();
  const { id } = await session.feed([...ids.subarray(0, 59)], greedy);
  expect(seen!.best[58]).toBe(id);
});
