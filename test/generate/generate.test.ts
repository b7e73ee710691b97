/** Generation with a trained model: what ends a text, what events carry, and the same bytes every time. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openDevice } from "../../src/device/choose.ts";
import { type GenerateRequest, generate, type TokenEvent } from "../../src/generate/generate.ts";
import { loadModel, openSource } from "../../src/model/open.ts";
import { greedy, type Sampling, Session } from "../../src/model/session.ts";

const { device } = await openDevice("cpu");
afterAll(() => device.close());
const model = loadModel(device, openSource(join(import.meta.dir, "../../../shared/fixtures/udhr-lola")));
const { tokenizer } = model;
const prompt = tokenizer.encode("All human beings are born");
const free: Sampling = { ...greedy, temperature: 1, topP: 0.95, seed: 11n };

async function collect(request: Partial<GenerateRequest>, session = model.session()) {
  const events: TokenEvent[] = [];
  const run = generate(session, tokenizer, { prompt, maxTokens: 12, sampling: greedy, ...request });
  for (let step = await run.next(); ; step = await run.next()) {
    if (step.done) return { ...step.value, events };
    events.push(step.value);
  }
}

test("greedy text is that of the PyTorch reference, and ends by length", async () => {
  const result = await collect({});
  expect(result.text).toBe(" free and equal in the education tham");
  expect(result.finishReason).toBe("length");
  expect(result.promptTokens).toBe(prompt.length);
  expect(result.ids).toHaveLength(12);
});

test("events put together are the text; each names an expert for each MoE layer", async () => {
  for (const request of [{}, { sampling: free, maxTokens: 60 }, { stop: ["equal"] }]) {
    const { text, ids, events } = await collect(request);
    expect(events.map((event) => event.text).join("")).toBe(text);
    expect(events.map((event) => event.id)).toEqual(ids);
    for (const { experts, logprob } of events) {
      expect(experts).toHaveLength(3);
      expect(Math.max(...experts)).toBeLessThan(model.config.experts);
      expect(logprob).toBeLessThan(0);
    }
  }
});

test("a stop string ends the text before it, also across tokens", async () => {
  const whole = (await collect({})).text;
  for (const stop of [" equal", "ee and e", "in"]) {
    const result = await collect({ stop: ["never", stop] });
    expect(result.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(result.finishReason).toBe("stop");
  }
});

test("the end-of-text token ends the text and is no part of it", async () => {
  const { ids } = await collect({});
  const config = { ...model.config, eos: ids[4]! };
  const result = await collect({}, new Session(device, config, model.weights, { allowed: tokenizer.size }));
  expect(result.finishReason).toBe("eos");
  expect(result.text).toBe(tokenizer.decode(ids.slice(0, ids.indexOf(config.eos))));
});

test("the context ends the text", async () => {
  const result = await collect({ maxTokens: 1000 }, model.session({ context: 20 }));
  expect(result.finishReason).toBe("context");
  expect(result.ids).toHaveLength(20 - prompt.length);
});

test("no tokens asked for, none drawn", async () => {
  expect(await collect({ maxTokens: 0 })).toMatchObject({ text: "", ids: [], finishReason: "length" });
});

test("an empty prompt starts after the end-of-text token", async () => {
  const { ids } = await collect({ prompt: [] });
  expect(ids).toEqual((await collect({ prompt: [model.config.eos] })).ids);
});

test("the best alternatives come best first, with the drawn token's own probability", async () => {
  const { events } = await collect({ logprobs: 4 });
  for (const { id, logprob, top } of events) {
    expect(top).toHaveLength(4);
    expect(top![0]!.id).toBe(id);
    expect(top![0]!.logprob).toBeCloseTo(logprob, 4);
    expect(top!.map((t) => t.logprob)).toEqual(top!.map((t) => t.logprob).sort((a, b) => b - a));
  }
});

test("a character cut off by the end becomes U+FFFD there, and only there", async () => {
  const chinese = tokenizer.encode("世界人权宣言\n序言\n鉴于对人类家庭");
  const texts: string[] = [];
  for (let maxTokens = 1; maxTokens < 12; maxTokens++) {
    const { text, ids } = await collect({ prompt: chinese, maxTokens });
    expect(text).toBe(tokenizer.decode(ids));
    texts.push(text);
  }
  expect(texts.some((text) => text.endsWith("\ufffd"))).toBe(true);
});

for (const engine of ["cpu", "software"] as const)
  test(`the same seed gives the same text ten times on ${engine}`, async () => {
    const own = (await openDevice(engine)).device;
    const session = loadModel(own, openSource(join(import.meta.dir, "../../../shared/fixtures/udhr-lola"))).session();
    const texts = new Set<string>();
    for (let i = 0; i < 10; i++) {
      session.rewind();
      texts.add((await collect({ sampling: free, maxTokens: 25 }, session)).text);
    }
    expect(texts.size).toBe(1);
    own.close();
  }, 60_000);
