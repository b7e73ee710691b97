/** How much memory a model takes in use, counted by the very code that allocates it, before any of it is. */
import type { AdapterConfig } from "../checkpoint/adapter.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { TensorInfo } from "../checkpoint/tensor.ts";
import { CountingDevice } from "../device/counting.ts";
import type { Device } from "../device/device.ts";
import { attachAdapters, placeAdapter } from "./adapter.ts";
import { ExpertPool } from "./offload-pool.ts";
import { Session, type SessionOptions } from "./session.ts";
import { mapWeights, placeWeights, type WeightSource } from "./weights.ts";

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
  { config, tensors, extent }: PlannedModel,
  options: SessionOptions = {},
  slots?: number,
  adapters: readonly AdapterConfig[] = [],
): MemoryPlan {
  const counter = new CountingDevice(device);
  const source: WeightSource = { tensors, read: () => [], ...(extent && { extent }) };
  const typeOf = (name: string) => tensors.get(name)!.type;
  const pool = slots === undefined ? undefined : new ExpertPool(counter, config, source, slots);
  const { weights: own } = placeWeights(counter, config, typeOf, pool, (spec, names) => {
    return mapWeights(counter, source, spec, names)?.tensor ?? counter.tensor(spec);
  });
  const placed = attachAdapters(
    own,
    adapters.map((adapter) => placeAdapter(counter, config, adapter)),
  );
  const weights = counter.memory;
  const { chunk } = new Session(counter, config, placed, options);
  const cache = counter.bytesOf(/^cache\./);
  const logits = counter.bytesOf(/^(logits|seen|logprob)$/);
  const activations = counter.memory - weights - cache - logits;
  const packed = 4 * chunk * Math.max(config.inner, 3 * config.width);
  const program = programBytes[device.info.kind] + packed;
  return { weights, mapped: counter.mapped, cache, activations, logits, program, total: counter.memory + program };
}
