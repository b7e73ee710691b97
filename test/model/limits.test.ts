/** Weights larger than one binding may be: vocabularies and experts are split, and the answers stay. */
import { expect, test } from "bun:test";
import { openGpu } from "../../src/device/gpu/gpu.ts";
import { openReference } from "../../src/device/reference.ts";
import { greedy } from "../../src/model/session.ts";
import { tinySession } from "./tiny.ts";

const prompt = [7, 300, 3, 250, 9, 9, 42];

test("a vocabulary and experts split over bindings give the unsplit model's tokens", async () => {
  const reference = tinySession(openReference(), {}, { vocabulary: 901 });
  // 901 rows of 144 bytes need 6 bindings of 24 KiB, 5 experts of 10,080 bytes need 3.
  const device = await openGpu({ software: true, bindingLimit: 24 << 10 });
  const split = tinySession(device, { chunk: 4 }, { vocabulary: 901 });
  expect(split.weights.wte.parts.length).toBe(6);
  expect(split.weights.layers[1]!.up.w.parts.length).toBe(3);
  const [expected, actual] = [await reference.scores(prompt), await split.scores(prompt)];
  const gap = expected.logits.reduce((max, z, i) => Math.max(max, Math.abs(z - actual.logits[i]!)), 0);
  expect(gap).toBeLessThan(1e-4);
  for (const session of [reference, split]) session.rewind();
  const drawn = async (session: typeof split) => {
    const ids = [(await session.feed(prompt, greedy)).id];
    while (ids.length < 8) ids.push((await session.next()).id);
    return ids;
  };
  expect(await drawn(split)).toEqual(await drawn(reference));
  device.close();
});

test("a vocabulary matrix beyond 128 MiB runs on an adapter that binds 128 MiB", async () => {
  const device = await openGpu({ software: true, bindingLimit: 128 << 20 });
  const session = tinySession(device, {}, { vocabulary: 140_000, width: 252, layers: 1, inner: 64 });
  const bytes = session.weights.wte.parts.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
  expect(bytes).toBeGreaterThan(128 << 20);
  const reference = tinySession(openReference(), {}, { vocabulary: 140_000, width: 252, layers: 1, inner: 64 });
  const ids = [139_999, 5, 133_200];
  const [expected, actual] = [
    await reference.feed(ids, greedy, { logits: true }),
    await session.feed(ids, greedy, { logits: true }),
  ];
  expect(actual.id).toBe(expected.id);
  const gap = expected.logits!.reduce((max, z, i) => Math.max(max, Math.abs(z - actual.logits![i]!)), 0);
  expect(gap).toBeLessThan(1e-4);
  device.close();
}, 60_000);

test("heads, experts and layers of any number", async () => {
  const device = await openGpu({ software: true });
  for (const shape of [
    { layers: 1, heads: 1, experts: 1 },
    { layers: 5, heads: 9, experts: 1 },
    { layers: 2, heads: 2, experts: 33 },
  ]) {
    const [reference, session] = [tinySession(openReference(), {}, shape), tinySession(device, {}, shape)];
    const [expected, actual] = [await reference.scores(prompt), await session.scores(prompt)];
    const gap = expected.logits.reduce((max, z, i) => Math.max(max, Math.abs(z - actual.logits[i]!)), 0);
    expect(gap).toBeLessThan(1e-4);
    expect(actual.experts).toEqual(expected.experts);
  }
  device.close();
});
