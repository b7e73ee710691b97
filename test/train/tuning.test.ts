/** Runs that train a part of a model: their state in a file, resumed to the bit; their memory plan; the model that results. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError } from "../../src/base/errors.ts";
import { toFloats } from "../../src/base/float.ts";
import { type AdapterConfig, adapterTargets } from "../../src/checkpoint/adapter.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { openLola, saveLola } from "../../src/checkpoint/lola-file.ts";
import { encode } from "../../src/checkpoint/msgpack.ts";
import { weightKind } from "../../src/checkpoint/quantized.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { openDevice } from "../../src/device/choose.ts";
import { initialAdapter } from "../../src/model/adapter.ts";
import type { TrainingShape } from "../../src/model/training-buffers.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import type { Base } from "../../src/train/parameters.ts";
import { planTraining } from "../../src/train/plan.ts";
import { openTuning, saveTuning, type TuningMeta, tunedTensors } from "../../src/train/tuning.ts";
import { type Header, putTogether, takeApart } from "../checkpoint/tiny.ts";
import { madeModel } from "../model/adapters.ts";
import { tinyConfig as config } from "../model/tiny.ts";
import { tinyRun } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-tuning-"));
afterAll(() => rmSync(root, { recursive: true }));
const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => device.close());

const { recipe } = tinyRun();
const tokens = (factor: number) => Uint32Array.from({ length: 40 }, (_, i) => (i * factor + 5) % config.vocabulary);
const batch = { inputs: tokens(41), targets: tokens(29) };
const adapter: AdapterConfig = { rank: 4, alpha: 8, dropout: 0.2, targets: [...adapterTargets] };
const model = madeModel(config, (name) =>
  weightKind(name) === "experts" ? "q8_32" : weightKind(name) ? "f16" : "f32",
);
const shape: TrainingShape = { batch: 2, time: 20, recompute: false, dropout: 0.1 };
const provenance = { made: "finetune", from: "test", version: "0", notes: [] };
const base = { identity: model.identity, name: "made", config };
const chosen = (name: string) => /h\.1\.moe\.experts\.(1|2)\./.test(name);
const typeOf =
  ({ tensors }: ModelSource) =>
  (name: string) =>
    tensors.get(name)!.type;

/** Two ways to train a part, each with its engine and what its file says. */
const ways = {
  adapters: { meta: { adapter }, shape: { ...shape, adapter }, base: { typeOf: typeOf(model), trains: () => false } },
  experts: { meta: {}, shape, base: { typeOf: typeOf(model), trains: chosen } },
} satisfies Record<string, { meta: Partial<TuningMeta>; shape: TrainingShape; base: Base }>;

function open(way: keyof typeof ways): TrainingEngine {
  const engine = new TrainingEngine(device, config, recipe, ways[way].shape, 3n, ways[way].base);
  engine.loadBase(model);
  if (way === "adapters") engine.load("weights", initialAdapter(config, adapter, 3n));
  return engine;
}

const run = async (engine: TrainingEngine, from: number, to: number) => {
  for (let step = from; step <= to; step++) await engine.step([batch, batch], step, 1e-2);
};

async function save(name: string, engine: TrainingEngine, way: keyof typeof ways): Promise<string> {
  const path = join(root, name);
  await saveTuning(path, engine, { base, provenance, training: { step: 3, rate: 0.5 }, ...ways[way].meta });
  return path;
}

for (const way of ["adapters", "experts"] as const)
  test(`${way}: a run that went on from its file ends in the same bytes as one that was not interrupted`, async () => {
    const whole = open(way);
    await run(whole, 1, 3);
    const half = await save(`${way}-half.lola`, whole, way);
    await run(whole, 4, 5);
    const end = await save(`${way}-end.lola`, whole, way);

    const file = openTuning(half);
    expect(file.training).toEqual({ step: 3, rate: 0.5 });
    expect(file.base).toEqual(base);
    const resumed = open(way);
    for (const what of ["weights", "m", "v"] as const) resumed.load(what, file[what]);
    file.close();
    await run(resumed, 4, 5);
    expect(readFileSync(await save(`${way}-resumed.lola`, resumed, way))).toEqual(readFileSync(end));
    expect(readFileSync(half)).not.toEqual(readFileSync(end));
  });

test("files that are not as FORMAT.md has them are refused", async () => {
  for (const way of ["adapters", "experts"] as const) {
    const { chunks, header } = takeApart(readFileSync(await save("valid.lola", open(way), way)));
    const refused = (change: (header: Header) => void) => {
      const copy = structuredClone(header);
      change(copy);
      const path = join(root, "other.lola");
      writeFileSync(path, putTogether(chunks, encode(copy)));
      try {
        openTuning(path).close();
      } catch (error) {
        if (error instanceof DataError) return error.code;
        throw error;
      }
      return "";
    };
    const meta = (header: Header) => header.meta as unknown as Record<string, unknown>;
    expect(refused(() => {})).toBe("");
    expect(refused((header) => (header.kind = "adapter"))).toBe("header.kind");
    expect(refused((header) => (header.tensors[0]![0] = "m.other"))).toBe("tuning.tensor");
    expect(refused((header) => (header.tensors[0]![1] = "f16"))).toBe("tensor.length");
    expect(refused((header) => header.tensors[0]![2].reverse())).toBe("tuning.tensor");
    expect(refused((header) => (meta(header).extra = 1))).toBe("header.fields");
    if (way === "adapters") expect(refused((header) => delete meta(header).adapter)).toBe("tuning.tensor");
    else expect(refused((header) => (meta(header).adapter = adapter))).toBe("tuning.tensor");
  }
});

test("the model that results has the trained tensors, in the base's types, and all others as they were", async () => {
  const engine = open("experts");
  await run(engine, 1, 2);
  const path = join(root, "tuned.lola");
  await saveLola(path, { config, tokenizer: {}, provenance, tensors: tunedTensors(model, engine) });
  const tuned = openLola(fileBytes(path));
  for (const { name, type } of tuned.tensors.values()) {
    const stored = model.tensors.get(name)!.type;
    expect(type).toBe(chosen(name) && stored.startsWith("q") ? "f32" : stored);
    const same = Buffer.concat([...tuned.read(name)].map((p) => p.slice())).equals(
      Buffer.concat([...model.read(name)]),
    );
    expect(`${name} ${same}`).toBe(`${name} ${!chosen(name)}`);
  }
  for await (const { name, pieces } of engine.stored("weights"))
    for await (const piece of pieces)
      expect(toFloats([...tuned.read(name)][0]!, "f32")).toEqual(toFloats(piece, "f32"));
  tuned.close();
});

test("all tensors are in the plan, moments and gradients for what is trained alone", async () => {
  const { device } = await openDevice("reference");
  // The reference keeps all floats as f32.
  const typeOf = (name: string) => (weightKind(name) ? "q8_32" : "f32");
  for (const way of ["adapters", "experts"] as const)
    for (const recompute of [false, true]) {
      const part = { ...ways[way].base, typeOf };
      const before = device.memory;
      const plan = planTraining({ model: config, recipe, shape: { ...ways[way].shape, recompute } }, part);
      const engine = new TrainingEngine(device, config, recipe, { ...ways[way].shape, recompute }, 3n, part);
      expect(device.memory - before).toBe(plan.total - plan.program);
      let trained = 0;
      for await (const { shape } of engine.stored("m")) trained += 4 * shape.reduce((a, b) => a * b, 1);
      // The biases of all experts of a layer lie together.
      const others = way === "experts" ? 3 * 4 * (config.inner + config.width) : 0;
      expect(plan.gradients).toBe(trained + others);
      expect(plan.moments).toBe(2 * plan.gradients);
      expect(plan.gradients).toBeLessThan(plan.parameters);
    }
  device.close();
});
