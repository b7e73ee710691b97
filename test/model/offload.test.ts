/** Experts that take turns on the device: bit for bit what they give when all are resident, whatever the slots. */
import { afterAll, describe, expect, test } from "bun:test";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import type { TensorType } from "../../src/checkpoint/tensor.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { Device } from "../../src/device/device.ts";
import { openGpu } from "../../src/device/gpu/gpu.ts";
import { ExpertPool } from "../../src/model/offload-pool.ts";
import { randomWeights } from "../../src/model/random.ts";
import { greedy, Session } from "../../src/model/session.ts";
import { loadWeights, type WeightSource } from "../../src/model/weights.ts";
import { tinyConfig } from "./tiny.ts";

/** Two mixtures of five experts: sizes that no group or panel divides; on the GPU such as its fast kernels take. */
const odd = { ...tinyConfig, layers: 5, vocabulary: 75 };
const configs = { cpu: odd, software: { ...odd, width: 48, inner: 80 } };
const prompt = Array.from({ length: 23 }, (_, i) => (i * i * 7) % 75);

const isMatrix = (name: string) => /c_(fc|proj|attn)\.weight$/.test(name);
const kinds: Record<string, (name: string) => TensorType> = {
  f32: () => "f32",
  f16: () => "f16",
  q8: (name) => (isMatrix(name) ? "q8_64" : "f32"),
  // Three pairs of types among the experts.
  mixed: (name) =>
    !isMatrix(name) ? "f32" : /experts\.[04]\.c_fc/.test(name) ? "q4_32" : /experts\.1/.test(name) ? "f16" : "q8_32",
};

async function outputs(session: Session) {
  const { logits, experts, probs } = await session.scores(prompt);
  session.rewind();
  const drawn = [await session.feed(prompt, greedy, { logits: true })];
  while (drawn.length < 12) drawn.push(await session.next({ logits: true }));
  return { logits, experts, probs, drawn };
}

function pooled(device: Device, config: ModelConfig, source: WeightSource, slots: number, chunk: number) {
  const pool = new ExpertPool(device, config, source, slots);
  return { pool, session: new Session(device, config, loadWeights(device, config, source, pool), { chunk }) };
}

const all = [3, 16].flatMap((chunk) => [1, 3, 10].map((slots) => ({ chunk, slots })));
/** Few runs on a software GPU, where each kernel is compiled anew. */
const runs: Record<"cpu" | "software", Record<string, { chunk: number; slots: number }[]>> = {
  cpu: { f32: all, f16: all, q8: all, mixed: all },
  software: { f32: [{ chunk: 16, slots: 3 }], q8: [{ chunk: 3, slots: 1 }], mixed: [{ chunk: 16, slots: 4 }] },
};

describe.each(["cpu", "software"] as const)("on %s", async (engine) => {
  const { device } = await openDevice(engine, engine === "cpu" ? { threads: 2 } : {});
  const config = configs[engine];
  afterAll(() => device.close());

  test.each(Object.keys(runs[engine]))("%s weights: the same bits whatever the slots", async (kind) => {
    const source = randomWeights(config, kinds[kind]!);
    for (const { chunk, slots } of runs[engine][kind]!) {
      const expected = await outputs(new Session(device, config, loadWeights(device, config, source), { chunk }));
      // Rows went to several experts, or nothing is shown.
      expect(new Set(expected.experts[0]).size).toBeGreaterThan(2);
      const { pool, session } = pooled(device, config, source, slots, chunk);
      expect(await outputs(session)).toEqual(expected);
      // Of three kinds each has a slot at least.
      expect(pool.slots - slots).toBeWithin(0, kind === "mixed" ? 3 : 1);
    }
  });
});

test("slots that are split over bindings give the same bits", async () => {
  // An expert's matrix takes 15,360 bytes.
  const device = await openGpu({ software: true, bindingLimit: 32 << 10 });
  const config = configs.software;
  const source = randomWeights(config, kinds.f32!);
  const expected = await outputs(new Session(device, config, loadWeights(device, config, source), { chunk: 16 }));
  const { pool, session } = pooled(device, config, source, 4, 16);
  expect(pool.up.w.parts.map(({ first, count }) => [first, count])).toEqual([
    [0, 2],
    [2, 2],
  ]);
  expect(await outputs(session)).toEqual(expected);
  device.close();
});
