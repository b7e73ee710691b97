/** How much memory a model takes in use, counted by the very code that allocates it, before any of it is. */
import type { AdapterConfig } from "../checkpoint/adapter.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { TensorInfo } from "../checkpoint/tensor.ts";
import { CountingDevice } from "../device/counting.ts";
import type { Device } from "../device/device.ts";
import { attachAdapters, placeAdapter } from "./adapter.ts";
import { Likelihood } from "./likelihood.ts";
import { ExpertPool } from "./offload-pool.ts";
import { Session, type SessionOptions } from "./session.ts";
import { mapWeights, placeWeights, type WeightSource, type Weights } from "./weights.ts";

/** Bytes, by what they are for. */
export interface MemoryPlan {
  weights: number;
  /** How many of those are a mapped file's. */
  mapped: number;
  /** Keys and values of all positions. */
  cache: number;
  /** Of a chunk of a prompt, and of one token. */
  activations: number;
  /** Of one token, and what sampling keeps. */
  logits: number;
  /** The program itself, and what products of the CPU engine make of their rows. */
  program: number;
  total: number;
}

/** What is to be known of a model. */
export interface PlannedModel extends Pick<WeightSource, "extent"> {
  config: ModelConfig;
  tensors: ReadonlyMap<string, TensorInfo>;
}

/** The program without a model: code, heap, tokenizer; on a GPU its driver and shaders too. */
const programBytes = { cpu: 128 << 20, reference: 128 << 20, gpu: 320 << 20 };

/**
 * Memory of a model and one session on a device.
 * @param slots where experts take turns: how many are there at once
 * @param adapters what is added to its products; they count as weights
 * @throws LolaError "device" when a tensor is larger than the device's bindings; "usage" as attachAdapters
 */
export function planMemory(
  device: Pick<Device, "info" | "map">,
  model: PlannedModel,
  options: SessionOptions = {},
  slots?: number,
  adapters: readonly AdapterConfig[] = [],
): MemoryPlan {
  const counter = new CountingDevice(device);
  const placed = place(counter, model, slots, adapters);
  const weights = counter.memory;
  const { chunk } = new Session(counter, model.config, placed, options);
  return sums(device, counter, weights, model.config, chunk);
}

/**
 * Memory of a model and passes over `batch` sequences of `context` tokens each, as `Likelihood` makes them.
 * @throws LolaError "device" when a tensor is larger than the device's bindings
 */
export function planScoring(
  device: Pick<Device, "info" | "map">,
  model: PlannedModel,
  batch: number,
  context: number,
): MemoryPlan {
  const counter = new CountingDevice(device);
  const placed = place(counter, model);
  const weights = counter.memory;
  new Likelihood(counter, { ...model.config, context }, placed, batch);
  return sums(device, counter, weights, model.config, batch * context);
}

/** Weights, as tensors that are only counted. */
function place(
  counter: CountingDevice,
  { config, tensors, extent }: PlannedModel,
  slots?: number,
  adapters: readonly AdapterConfig[] = [],
): Weights {
  const source: WeightSource = { tensors, read: () => [], ...(extent && { extent }) };
  const typeOf = (name: string) => tensors.get(name)!.type;
  const pool = slots === undefined ? undefined : new ExpertPool(counter, config, source, slots);
  const { weights } = placeWeights(counter, config, typeOf, pool, (spec, names) => {
    return mapWeights(counter, source, spec, names)?.tensor ?? counter.tensor(spec);
  });
  return attachAdapters(
    weights,
    adapters.map((adapter) => placeAdapter(counter, config, adapter)),
  );
}

/** @param rows of the largest pass */
function sums(
  { info }: Pick<Device, "info">,
  counter: CountingDevice,
  weights: number,
  config: ModelConfig,
  rows: number,
): MemoryPlan {
  const cache = counter.bytesOf(/^cache\./);
  const logits = counter.bytesOf(/^(logits|seen|logprob)$/);
  const activations = counter.memory - weights - cache - logits;
  const packed = 4 * rows * Math.max(config.inner, 3 * config.width);
  const program = programBytes[info.kind] + packed;
  return { weights, mapped: counter.mapped, cache, activations, logits, program, total: counter.memory + program };
}
