/** Adapters at inference: nothing without them, the same as the merged model with them, on both engines. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type AdapterConfig, adapterTargets } from "../../src/checkpoint/adapter.ts";
import type { AdapterSource } from "../../src/checkpoint/adapter-file.ts";
import { mergeAdapters } from "../../src/checkpoint/merge.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { Device } from "../../src/device/device.ts";
import { openReference } from "../../src/device/reference.ts";
import { attachAdapters, initialAdapter, loadAdapter } from "../../src/model/adapter.ts";
import { Likelihood } from "../../src/model/likelihood.ts";
import { openSource } from "../../src/model/open.ts";
import { greedy, Session } from "../../src/model/session.ts";
import { loadWeights } from "../../src/model/weights.ts";
import { madeAdapter, madeModel } from "./adapters.ts";
import { tinyConfig, tinySession } from "./tiny.ts";

const ids = Array.from({ length: 30 }, (_, i) => (i * 41 + 7) % tinyConfig.vocabulary);
const all: AdapterConfig = { rank: 3, alpha: 6, dropout: 0.1, targets: [...adapterTargets] };
const some = (...targets: AdapterConfig["targets"]): AdapterConfig => ({ ...all, targets });
const mergeable = some(...all.targets.filter((target) => target !== "head"));

function session(device: Device, source: ModelSource, adapters: [AdapterSource, number][] = []): Session {
  const weights = loadWeights(device, source.config, source);
  const placed = adapters.map(([adapter, strength]) => loadAdapter(device, adapter, strength));
  return new Session(device, source.config, attachAdapters(weights, placed));
}

/** Logits of a prompt's rows, then of a few tokens one by one. */
async function logitsOf(session: Session): Promise<Float32Array> {
  const { logits } = await session.scores(ids.slice(0, 20));
  session.rewind();
  const rows = [logits, (await session.feed(ids.slice(0, 3), greedy, { logits: true })).logits!];
  for (let i = 0; i < 3; i++) rows.push((await session.next({ logits: true })).logits!);
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

/** The largest difference over the largest of what is expected. */
function distance(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  let [most, size] = [0, 0];
  for (const [i, x] of expected.entries()) {
    most = Math.max(most, Math.abs(actual[i]! - x));
    size = Math.max(size, Math.abs(x));
  }
  return most / size;
}

test("without adapters there is not one step more", () => {
  // Embedding; 8 of a dense layer, 9 of a mixture; norm, logits, draw.
  expect(tinySession(openReference()).stepsPerToken).toBe(1 + 8 + 9 + 8 + 3);
});

test("an adapter as training starts with it changes nothing, and has PEFT's bounds", async () => {
  const device = openReference();
  const model = madeModel(tinyConfig);
  const adapter = { ...madeAdapter(tinyConfig, all), ...initialAdapter(tinyConfig, all, 5n) };
  const [plain, adapted] = [
    await logitsOf(session(device, model)),
    await logitsOf(session(device, model, [[adapter, 1]])),
  ];
  expect(distance(adapted, plain)).toBeLessThan(1e-6);
  const values = (name: string) => new Float32Array([...adapter.read(name)][0]!.slice().buffer);
  const a = values("h.0.mlp.c_proj.lora_a");
  const bound = 1 / Math.sqrt(tinyConfig.inner);
  expect(Math.max(...a)).toBeLessThanOrEqual(bound);
  expect(Math.max(...a)).toBeGreaterThan(0.9 * bound);
  expect(Math.min(...a)).toBeLessThan(-0.9 * bound);
  expect(values("h.0.mlp.c_fc.lora_a")).not.toEqual(values("h.2.mlp.c_fc.lora_a"));
  expect(values("h.0.mlp.c_proj.lora_b").every((x) => Object.is(x, 0))).toBe(true);
});

for (const engine of ["cpu", "software"] as const)
  describe(engine, () => {
    let device: Device;
    beforeAll(async () => {
      device = (await openDevice(engine)).device;
    });
    afterAll(() => device.close());

    const cases: [string, AdapterConfig][] = [
      ["all", mergeable],
      ["attention", some("attn.c_attn", "attn.c_proj")],
      ["dense", some("mlp.c_fc", "mlp.c_proj")],
      ["the second matrices alone", some("mlp.c_proj", "experts.c_proj")],
      ["some experts", { ...some("experts.c_fc", "experts.c_proj"), experts: [[0, 1, 4]] }],
    ];
    for (const [label, config] of cases)
      test(`merged, ${label}: the same as with the adapter`, async () => {
        const model = madeModel(tinyConfig);
        const adapter = madeAdapter(tinyConfig, config);
        const merged = await logitsOf(session(device, mergeAdapters(model, [{ adapter, strength: 0.5 }])));
        expect(distance(await logitsOf(session(device, model, [[adapter, 0.5]])), merged)).toBeLessThan(1e-5);
        expect(distance(merged, await logitsOf(session(device, model)))).toBeGreaterThan(1e-3);
      });

    test("merged, the shared fixture: the same as with the adapter, within 1e-5", async () => {
      const model = openSource(join(import.meta.dir, "../../../shared/fixtures/tiny-lola"));
      const { config, identity } = model;
      const base = { identity, name: "tiny-lola", config };
      const adapter = { ...madeAdapter(config, { ...mergeable, rank: 8, alpha: 16 }, 0.05), base };
      const [merged, adapted] = [
        await logitsOf(session(device, mergeAdapters(model, [{ adapter, strength: 1 }]))),
        await logitsOf(session(device, model, [[adapter, 1]])),
      ];
      expect(Math.max(...adapted.map((x, i) => Math.abs(x - merged[i]!)))).toBeLessThan(1e-5);
      expect(distance(merged, await logitsOf(session(device, model)))).toBeGreaterThan(1e-3);
    });

    test("two adapters add up; losses see them, the head's too", async () => {
      const model = madeModel(tinyConfig);
      const [one, two] = [madeAdapter(tinyConfig, mergeable), madeAdapter(tinyConfig, { ...all, rank: 5 }, 0.1, 2)];
      const both = session(device, model, [
        [one, 1],
        [two, -0.5],
      ]);
      const merged = session(device, mergeAdapters(model, [{ adapter: one, strength: 1 }]), [[two, -0.5]]);
      expect(distance(await logitsOf(both), await logitsOf(merged))).toBeLessThan(1e-5);
      const nats = async ({ weights }: Session) => {
        const scored = { tokens: Uint32Array.from(ids.slice(0, -1)), targets: Uint32Array.from(ids.slice(1)) };
        return (await new Likelihood(device, tinyConfig, weights, 1).score([scored]))[0]!;
      };
      const plain = await nats(session(device, model));
      expect(distance(await nats(both), await nats(merged))).toBeLessThan(1e-5);
      expect(distance(await nats(both), plain)).toBeGreaterThan(1e-3);
      const head = await nats(session(device, model, [[madeAdapter(tinyConfig, some("head")), 1]]));
      expect(distance(head, plain)).toBeGreaterThan(1e-3);
    });

    test("on a quantized base", async () => {
      const model = madeModel(tinyConfig, (name) => (/(attn|mlp|experts).*weight$/.test(name) ? "q8_32" : "f32"));
      const adapter = madeAdapter(tinyConfig, mergeable);
      const merged = await logitsOf(session(device, mergeAdapters(model, [{ adapter, strength: 1 }])));
      // The CPU rounds activations to 8 bits for products with quantized matrices.
      const bound = engine === "cpu" ? 0.1 : 1e-5;
      expect(distance(await logitsOf(session(device, model, [[adapter, 1]])), merged)).toBeLessThan(bound);
    });
  });
