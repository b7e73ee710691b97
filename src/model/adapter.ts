/** Adapters on a device: where their tensors lie, how they are attached to a model's products, what they start as. */
import { LolaError } from "../base/errors.ts";
import { fromFloats, toFloats } from "../base/float.ts";
import { philox, seedWords, unit } from "../base/random.ts";
import { type AdapterConfig, type AdapterModule, adapterModules, adapterTensors } from "../checkpoint/adapter.ts";
import type { AdapterSource } from "../checkpoint/adapter-file.ts";
import { isMoe, type ModelConfig } from "../checkpoint/config.ts";
import { tensorBytes } from "../checkpoint/tensor.ts";
import { type Device, elements, type Part } from "../device/device.ts";
import { bytesOf } from "./training-buffers.ts";
import {
  type Affine,
  fillWeight,
  type LayerWeights,
  type LowRank,
  type Placement,
  type WeightSource,
  type Weights,
} from "./weights.ts";

/** Products of a layer that may have adapters, and how a module of each is called after the layer's number. */
const products = {
  qkv: /^attn\.c_attn$/,
  out: /^attn\.c_proj$/,
  up: /^(mlp|moe\.experts\.\d+)\.c_fc$/,
  down: /^(mlp|moe\.experts\.\d+)\.c_proj$/,
} as const;
type Product = keyof typeof products;
const productNames = Object.keys(products) as Product[];

/** An adapter on a device, and which stored tensor lies where. */
export interface PlacedAdapter {
  layers: Partial<Record<Product, LowRank>>[];
  head?: LowRank;
  places: readonly Placement[];
}

/**
 * Allocates an adapter, zeros.
 * @throws LolaError "device" when the device has no room
 */
export function placeAdapter(device: Device, model: ModelConfig, config: AdapterConfig): PlacedAdapter {
  const modules = [...adapterModules(model, config)];
  const places: Placement[] = [];
  // The biases that adapters do not have; of a stack of experts, each its own.
  const widest = Math.max(...modules.map(([, { cols }]) => Math.max(cols, config.rank)));
  const stacked = modules.some(([name]) => expertOf(name) !== undefined) ? model.experts : 1;
  const zeros = device.tensor({ label: "no bias", shape: [stacked * widest], type: "f32" });

  const matrix = (names: string[], suffix: string, inner: number, cols: number): Affine => {
    const parts = runs(names).flatMap(({ from, some }): readonly Part[] => {
      const stored = some.map((name) => name + suffix);
      const stack = from === undefined ? [] : [some.length];
      const spec = { label: stored[0]!, shape: [...stack, inner, cols], layout: "matrix", split: from !== undefined };
      const target = device.tensor({ ...spec, layout: "matrix", type: "f32" });
      places.push(...stored.map((name, i) => ({ name, target, at: i * inner * cols })));
      return target.parts.map((part) => ({ ...part, first: part.first + (from ?? 0) }));
    });
    return { w: { inner, cols, parts }, b: zeros };
  };
  const lowRank = (some: [string, AdapterModule][]): LowRank | undefined => {
    if (some.length === 0) return undefined;
    const { inner, cols } = some[0]![1];
    const names = some.map(([name]) => name);
    return { a: matrix(names, ".lora_a", inner, config.rank), b: matrix(names, ".lora_b", config.rank, cols) };
  };
  const layer = (i: number) =>
    productNames.flatMap((product) => {
      const prefix = `h.${i}.`;
      const found = lowRank(
        modules.filter(([name]) => name.startsWith(prefix) && products[product].test(name.slice(prefix.length))),
      );
      return found ? [[product, found] as const] : [];
    });
  const head = lowRank(modules.filter(([name]) => name === "head"));
  return {
    layers: Array.from({ length: model.layers }, (_, i) => Object.fromEntries(layer(i))),
    ...(head && { head }),
    places,
  };
}

/** The expert that a module belongs to, if it is one's. */
function expertOf(name: string): number | undefined {
  const found = /\.experts\.(\d+)\./.exec(name);
  return found ? Number(found[1]) : undefined;
}

/** Modules whose matrices are kept as one tensor: neighbouring experts, or the one that is no expert's. */
function runs(names: readonly string[]): { from: number | undefined; some: string[] }[] {
  const found: { from: number | undefined; some: string[] }[] = [];
  for (const name of names) {
    const expert = expertOf(name);
    const last = found.at(-1);
    if (last?.from !== undefined && expert === last.from + last.some.length) last.some.push(name);
    else found.push({ from: expert, some: [name] });
  }
  return found;
}

/**
 * The same weights with adapters added to the products.
 * @throws LolaError "usage" where experts with adapters would have to take turns on the device
 */
export function attachAdapters(weights: Weights, adapters: readonly PlacedAdapter[]): Weights {
  const ofExperts = adapters.some(({ layers }) => layers.some(({ up, down }, i) => (up || down) && isMoe(i)));
  if (weights.pool && ofExperts)
    throw new LolaError("usage", "adapters of experts need all experts on the device", "without --memory");
  const layer = (before: LayerWeights, i: number): LayerWeights => {
    const adapted = productNames.flatMap((product) => {
      const more = adapters.flatMap(({ layers }) => layers[i]![product] ?? []);
      const affine = before[product];
      return more.length ? [[product, { ...affine, adapters: [...(affine.adapters ?? []), ...more] }] as const] : [];
    });
    return { ...before, ...Object.fromEntries(adapted) };
  };
  const head = [...(weights.head ?? []), ...adapters.flatMap(({ head }) => head ?? [])];
  return { ...weights, layers: weights.layers.map(layer), ...(head.length > 0 && { head }) };
}

/**
 * Puts an adapter on a device as inference wants it: alpha / rank and its strength are in B.
 * @param strength what its share of each product is multiplied by
 * @throws LolaError "device" when the device has no room; DataError when the file is damaged
 */
export function loadAdapter(device: Device, source: AdapterSource, strength = 1): PlacedAdapter {
  const { adapter, base, tensors } = source;
  const placed = placeAdapter(device, base.config, adapter);
  const factor = (strength * adapter.alpha) / adapter.rank;
  const scaled: WeightSource = {
    tensors,
    *read(name) {
      const by = name.endsWith(".lora_b") ? factor : 1;
      for (const piece of source.read(name))
        yield fromFloats(
          toFloats(piece, "f32").map((x) => x * by),
          "f32",
        );
    },
  };
  for (const place of placed.places) fillWeight(device, scaled, place);
  return placed;
}

/**
 * An adapter as training starts with it: A uniform in ± 1 / √inputs (Kaiming's with a = √5, as PEFT has it), B zeros, so that
 * it changes nothing. The same seed gives the same numbers.
 */
export function initialAdapter(model: ModelConfig, config: AdapterConfig, seed: bigint): WeightSource {
  const tensors = new Map(
    Array.from(adapterTensors(model, config), ([name, shape]) => [
      name,
      { name, type: "f32" as const, shape, bytes: tensorBytes(name, "f32", shape) },
    ]),
  );
  const index = new Map(Array.from(tensors.keys(), (name, i) => [name, i]));
  return {
    tensors,
    *read(name) {
      const { shape } = tensors.get(name)!;
      const values = new Float32Array(elements(shape));
      const bound = 1 / Math.sqrt(shape[0]!);
      for (let i = 0; name.endsWith(".lora_a") && i < values.length; i += 4) {
        // The third word keeps these numbers apart from a model's initial weights.
        const words = philox(seedWords(seed), [i / 4, index.get(name)!, 1, 0]);
        for (let j = 0; j < 4 && i + j < values.length; j++) values[i + j] = (2 * unit(words[j]!) - 1) * bound;
      }
      yield bytesOf(values);
    },
  };
}

/** The largest rank of the adapters of a model; 0: it has none. */
export function adapterRank({ layers, head }: Pick<Weights, "layers" | "head">): number {
  const lists = [head, ...layers.flatMap((layer) => productNames.map((product) => layer[product].adapters))];
  return Math.max(0, ...lists.flatMap((list) => (list ?? []).map(({ a }) => a.w.cols)));
}
