/** Comparing a model with itself, and with itself after one layer was broken. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openDevice } from "../../src/device/choose.ts";
import { compareOn } from "../../src/evaluate/compare.ts";
import { numbered, scoreDocuments } from "../../src/evaluate/text.ts";
import { Likelihood } from "../../src/model/likelihood.ts";
import { loadModel, openSource } from "../../src/model/open.ts";
import { bytesOf } from "../../src/model/training-buffers.ts";

const folder = join(import.meta.dir, "../../../shared/fixtures/udhr-lola");
const { device } = await openDevice("cpu");
afterAll(() => device.close());

test("the same model agrees with itself; another router sends tokens elsewhere from its layer on", async () => {
  const [model, broken] = [loadModel(device, openSource(folder)), loadModel(device, openSource(folder))];
  const { config, tokenizer } = model;
  const size = { eos: config.eos, vocabulary: config.vocabulary, context: config.context, stride: 64 };
  const text = (await Bun.file(join(folder, "texts/swh.txt")).text()).slice(0, 2000);
  const first = new Likelihood(device, config, model.weights, 4, true);

  let bits = 0;
  const done = (sample: { bits: number }) => (bits = sample.bits);
  await scoreDocuments(first, tokenizer, numbered([{ language: "swh", text }]), size, { done });
  const alike = await compareOn([first, first], tokenizer, text, size);
  expect(alike.tokens).toBe(tokenizer.encode(text).length);
  expect(alike.bytes).toBe(Buffer.byteLength(text));
  expect(Math.abs(alike.bits[0] / bits - 1)).toBeLessThan(1e-6);
  expect(alike.bits[1]).toBe(alike.bits[0]);
  expect(alike.sameBest).toBe(alike.tokens);
  expect(alike.sameExpert).toEqual([alike.tokens, alike.tokens, alike.tokens]);

  // Rows of the second MoE layer's gate, turned by one: every expert's tokens go to its neighbour.
  const gate = broken.weights.layers[3]!.gate!;
  const rows = new Float32Array((await device.download(gate)).slice().buffer);
  device.upload(gate, bytesOf(new Float32Array([...rows.subarray(config.width), ...rows.subarray(0, config.width)])));
  const second = new Likelihood(device, config, broken.weights, 4, true);
  const apart = await compareOn([first, second], tokenizer, text, size);
  expect(apart.sameExpert[0]).toBe(apart.tokens);
  expect(apart.sameExpert[1]).toBe(0);
  expect(apart.sameExpert[2]).toBeLessThan(apart.tokens);
  expect(apart.sameBest).toBeLessThan(apart.tokens);
  expect(apart.bits[1]).toBeGreaterThan(apart.bits[0]);
});
