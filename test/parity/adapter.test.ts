/**
 * Gradients of adapters and of chosen experts: the reference's against finite differences of its loss; every engine's against
 * the reference's, and against the whole gradient of the merged model, projected; over bases of any type.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { toFloats } from "../../src/base/float.ts";
import { philox, unit } from "../../src/base/random.ts";
import { type AdapterConfig, adapterModules, adapterTargets } from "../../src/checkpoint/adapter.ts";
import type { AdapterSource } from "../../src/checkpoint/adapter-file.ts";
import { mergeAdapters } from "../../src/checkpoint/merge.ts";
import { weightKind } from "../../src/checkpoint/quantized.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import type { TensorType } from "../../src/checkpoint/tensor.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { Device, Tensor } from "../../src/device/device.ts";
import { openReference } from "../../src/device/reference.ts";
import { gradientSteps } from "../../src/model/training-backward.ts";
import type { TrainingShape } from "../../src/model/training-buffers.ts";
import type { WeightSource } from "../../src/model/weights.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import type { Recipe } from "../../src/train/optimizer.ts";
import type { Base, Stored } from "../../src/train/parameters.ts";
import { madeAdapter, madeModel } from "../model/adapters.ts";
import { tinyConfig as config } from "../model/tiny.ts";

const recipe: Recipe = {
  ...{ optimizer: "adamw", tokens: 1e6, rate: 1e-3, finalRate: 1e-3, warmup: 0, decay: 0 },
  ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1, balance: 0.01 },
};
const plain: TrainingShape = { batch: 2, time: 20, recompute: false, dropout: 0 };
const tokens = (factor: number) => Uint32Array.from({ length: 40 }, (_, i) => (i * factor + 5) % config.vocabulary);
const batch = { inputs: tokens(41), targets: tokens(29) };

const all: AdapterConfig = { rank: 3, alpha: 6, dropout: 0, targets: [...adapterTargets] };
const mergeable: AdapterConfig = { ...all, targets: all.targets.filter((target) => target !== "head") };
const experts: AdapterConfig = { ...all, targets: ["experts.c_fc", "experts.c_proj"], experts: [[0, 1, 4]] };

/** A base of matrices of one type; positions are never quantized. */
const based = (type: TensorType) => (name: string) =>
  weightKind(name) ? type : name === "wpe.weight" ? (type === "bf16" ? "bf16" : "f16") : "f32";
/** Some experts of one type, some of another. */
const mixed = (name: string): TensorType => (/experts\.[13]\..*weight/.test(name) ? "q8_64" : "f32");

const frozen = ({ tensors }: ModelSource): Base => ({
  typeOf: (name) => tensors.get(name)!.type,
  trains: () => false,
});

function adapting(device: Device, model: ModelSource, adapter: AdapterSource, changes: Partial<TrainingShape> = {}) {
  const shape = { ...plain, adapter: adapter.adapter, ...changes };
  const engine = new TrainingEngine(device, config, recipe, shape, 1n, frozen(model));
  engine.loadBase(model);
  engine.load("weights", adapter);
  return engine;
}

type Tensors = Map<string, Float32Array>;

async function read(engine: TrainingEngine, what: Stored): Promise<Tensors> {
  const tensors: Tensors = new Map();
  for await (const { name, pieces } of engine.stored(what))
    for await (const piece of pieces) tensors.set(name, toFloats(piece, "f32").slice());
  return tensors;
}

async function gradients(engine: TrainingEngine): Promise<Tensors> {
  await engine.step([batch], 1, 0);
  return read(engine, "gradients");
}

/** The largest difference over the largest of what is expected, of the worst tensor. */
function distance(actual: Tensors, expected: Tensors): number {
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  let worst = 0;
  for (const [name, values] of expected) {
    let [most, size] = [0, 0];
    for (const [i, x] of values.entries()) {
      most = Math.max(most, Math.abs(actual.get(name)![i]! - x));
      size = Math.max(size, Math.abs(x));
    }
    // An expert without rows has no gradient at all.
    worst = Math.max(worst, size > 0 ? most / size : most);
  }
  return worst;
}

/** Tensors as a source. */
function sourceOf(values: Tensors): WeightSource {
  const tensors = new Map(
    Array.from(values, ([name, { length, byteLength }]) => [
      name,
      { name, type: "f32" as const, shape: [length], bytes: byteLength },
    ]),
  );
  return {
    tensors,
    *read(name) {
      yield new Uint8Array(values.get(name)!.slice().buffer);
    },
  };
}

describe("reference", () => {
  const device = openReference();
  const cases: [string, AdapterConfig, Partial<TrainingShape>][] = [
    ["all targets", all, {}],
    ["with dropout", { ...all, dropout: 0.3 }, {}],
    ["some experts", { ...experts, dropout: 0.3 }, {}],
    ["capacity and the model's own dropout", all, { dropout: 0.2, capacity: { factor: 1, least: 4, random: true } }],
  ];
  for (const [label, adapter, changes] of cases)
    test(`gradients are finite differences of the loss: ${label}`, async () => {
      const engine = adapting(device, madeModel(config), madeAdapter(config, adapter), changes);
      const found = await gradients(engine);
      const weights = await read(engine, "weights");
      const lossAt = async (name: string, direction: Float32Array, by: number) => {
        const moved = weights.get(name)!.map((w, i) => w + by * direction[i]!);
        engine.load("weights", sourceOf(new Map([...weights, [name, moved]])));
        const { loss, aux, load } = await engine.step([batch], 1, 0);
        return { loss: loss + recipe.balance * aux, load: load.join() };
      };
      let checked = 0;
      for (const [name, gradient] of found) {
        // Along the gradient itself, and along a random direction.
        const random = gradient.map((_, i) => 2 * unit(philox([3, 0], [i, 0, 0, 0])[0]) - 1);
        const length = Math.hypot(...gradient);
        for (const along of length > 0 ? [gradient, random] : [random]) {
          const size = Math.hypot(...along);
          const direction = along.map((x) => x / size);
          const slope = direction.reduce((sum, d, i) => sum + d * gradient[i]!, 0);
          for (const step of [0.01, 0.003, 0.001]) {
            const [above, below] = [await lossAt(name, direction, step), await lossAt(name, direction, -step)];
            // A row that takes another expert leaps.
            if (above.load !== below.load) continue;
            const difference = (above.loss - below.loss) / (2 * step);
            const bound = 5e-3 * length + 5e-7 / step;
            if (!(Math.abs(difference - slope) <= bound)) expect(`${name}: ${slope}`).toBe(`${difference} ± ${bound}`);
            checked++;
            break;
          }
        }
      }
      expect(checked).toBeGreaterThan(1.8 * found.size);
    });
});

for (const name of ["cpu", "software"] as const)
  describe(name, () => {
    let device: Device;
    beforeAll(async () => {
      device = (await openDevice(name)).device;
    });
    afterAll(() => device.close());

    const variants: [string, AdapterConfig, Partial<TrainingShape>, (name: string) => TensorType][] = [
      ["f32", all, {}, based("f32")],
      ["f16", all, {}, based("f16")],
      ["bf16", all, {}, based("bf16")],
      ["q8", all, {}, based("q8_32")],
      ["q4", { ...all, dropout: 0.2 }, {}, based("q4_64")],
      ["some experts quantized", all, { recompute: true }, mixed],
      ["some experts adapted", { ...experts, dropout: 0.3 }, {}, mixed],
      ["dropout everywhere, capacity", { ...all, dropout: 0.3 }, dropping(), based("f32")],
    ];
    for (const [label, adapter, changes, typeOf] of variants)
      test(`the reference's gradients: ${label}`, async () => {
        const model = madeModel(config, typeOf);
        const of = (on: Device) => gradients(adapting(on, model, madeAdapter(config, adapter), changes));
        expect(distance(await of(device), await of(openReference()))).toBeLessThan(5e-5);
      });

    for (const type of ["f32", "q8_64", "q4_32"] as const)
      test(`dA = s · dW · Bᵀ and dB = s · Aᵀ · dW of the merged model: ${type}`, async () => {
        const model = madeModel(config, based(type));
        const adapter = madeAdapter(config, mergeable);
        const whole = new TrainingEngine(device, config, recipe, plain, 1n);
        whole.loadBase(mergeAdapters(model, [{ adapter, strength: 1 }]));
        const dw = await gradients(whole);
        const weights = await read(adapting(device, model, adapter), "weights");
        const wanted: Tensors = new Map();
        const { rank, alpha } = mergeable;
        for (const [module, { inner, cols }] of adapterModules(config, mergeable)) {
          const [a, b, d] = [
            weights.get(`${module}.lora_a`)!,
            weights.get(`${module}.lora_b`)!,
            dw.get(`${module}.weight`)!,
          ];
          const [da, db] = [new Float32Array(a.length), new Float32Array(b.length)];
          for (let k = 0; k < inner; k++)
            for (let r = 0; r < rank; r++) {
              let sum = 0;
              for (let n = 0; n < cols; n++) {
                sum += d[k * cols + n]! * b[r * cols + n]!;
                db[r * cols + n]! += (alpha / rank) * a[k * rank + r]! * d[k * cols + n]!;
              }
              da[k * rank + r] = (alpha / rank) * sum;
            }
          wanted.set(`${module}.lora_a`, da);
          wanted.set(`${module}.lora_b`, db);
        }
        const found = await gradients(adapting(device, model, adapter));
        expect(distance(ordered(found), ordered(wanted))).toBeLessThan(5e-5);
      });

    test("what is frozen stays, bit for bit; steps repeat, bit for bit", async () => {
      const model = madeModel(config, mixed);
      const run = async () => {
        const engine = adapting(device, model, madeAdapter(config, { ...experts, dropout: 0.3 }));
        const { weights, gradients } = engine.parameters;
        const before = await contents(device, weights);
        for (let step = 1; step <= 3; step++) await engine.step([batch, batch], step, 1e-2);
        const after = await contents(device, weights);
        const changed = [...after.keys()].filter((tensor) => !after.get(tensor)!.equals(before.get(tensor)!));
        expect(new Set(changed)).toEqual(new Set(gradients.keys()));
        return read(engine, "weights");
      };
      expect(await run()).toEqual(await run());
    });

    test("any part: the whole gradient's, and no steps below the lowest of it", async () => {
      const model = madeModel(config);
      const whole = new TrainingEngine(device, config, recipe, plain, 1n);
      whole.loadBase(model);
      const wanted = await gradients(whole);
      const steps: number[] = [];
      for (const part of [
        /^ln_f/,
        /^h\.2\.mlp\.c_proj/,
        /^h\.2\.attn/,
        /^h\.1\.moe\.gate/,
        /^h\.1\.ln_1/,
        /^wpe/,
        /^wte/,
        /^/,
      ]) {
        const base = { typeOf: () => "f32" as const, trains: (name: string) => part.test(name) };
        const engine = new TrainingEngine(device, config, recipe, plain, 1n, base);
        engine.loadBase(model);
        const found = await gradients(engine);
        expect(found.size).toBeGreaterThan(0);
        expect(distance(found, new Map([...wanted].filter(([name]) => part.test(name))))).toBeLessThan(1e-6);
        const { weights, gradients: trained } = engine.parameters;
        steps.push(gradientSteps(config, weights, trained, engine.buffers).length);
      }
      expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
    });

    test("only some experts: the whole gradient's part of them, and nothing else moves", async () => {
      const model = madeModel(config, mixed);
      const chosen = (name: string) => /h\.1\.moe\.experts\.(1|2|4)\./.test(name);
      const base: Base = { typeOf: (name) => model.tensors.get(name)!.type, trains: chosen };
      const engine = new TrainingEngine(device, config, recipe, plain, 1n, base);
      const whole = new TrainingEngine(device, config, recipe, plain, 1n);
      for (const each of [engine, whole]) each.loadBase(model);
      const found = await gradients(engine);
      const wanted = await gradients(whole);
      expect([...found.keys()]).toEqual([...wanted.keys()].filter(chosen));
      for (const [tensor, gradient] of found) {
        const most = Math.max(...wanted.get(tensor)!.map(Math.abs));
        const far = gradient.findIndex((g, i) => Math.abs(g - wanted.get(tensor)![i]!) > 5e-5 * most + 1e-9);
        expect(`${tensor} ${far}`).toBe(`${tensor} -1`);
      }
      const { weights, gradients: trained } = engine.parameters;
      const before = await contents(device, weights);
      await engine.step([batch], 2, 1e-2);
      const after = await contents(device, weights);
      const changed = [...after.keys()].filter((tensor) => !after.get(tensor)!.equals(before.get(tensor)!));
      expect(changed.length).toBeGreaterThan(0);
      for (const tensor of changed) expect(trained.has(tensor)).toBe(true);
      // The biases of all experts lie together: those of the others do not move.
      const { b } = weights.layers[1]!.up;
      for (const e of [0, 3]) {
        const of = (bytes: Buffer) => bytes.subarray(4 * e * config.inner, 4 * (e + 1) * config.inner);
        expect(of(after.get(b)!).equals(of(before.get(b)!))).toBe(true);
      }
    });
  });

function dropping(): Partial<TrainingShape> {
  return { dropout: 0.2, capacity: { factor: 1, least: 4, random: true } };
}

const ordered = (tensors: Tensors): Tensors => new Map([...tensors].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Every tensor that hangs in a tree, with its bytes. */
async function contents(device: Device, tree: object): Promise<Map<Tensor, Buffer>> {
  const found = new Map<Tensor, Buffer>();
  const visit = async (value: unknown): Promise<void> => {
    if (typeof value !== "object" || value === null) return;
    const tensor = "bytes" in value ? (value as Tensor) : undefined;
    if (tensor) found.set(tensor, Buffer.from(await device.download(tensor)));
    else for (const member of Object.values(value)) await visit(member);
  };
  await visit(tree);
  return found;
}
