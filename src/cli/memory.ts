/** Does a model fit the memory there is, and what would if it does not? */
import { LolaError } from "../base/errors.ts";
import type { AdapterConfig } from "../checkpoint/adapter.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Device } from "../device/device.ts";
import { cacheTypes } from "../model/cache.ts";
import { type MemoryPlan, type PlannedModel, planMemory } from "../model/memory.ts";
import type { SessionOptions } from "../model/session.ts";
import { planFor, presetChoice } from "../quantize/plan.ts";
import { bytes } from "./style.ts";

/**
 * The memory that a session will take on a device.
 * @throws LolaError "device" where that is more than there is, with the numbers and the nearest setting that fits
 */
export function planWithin(
  device: Device,
  source: ModelSource,
  options: SessionOptions,
  adapters: readonly AdapterConfig[] = [],
): MemoryPlan {
  const plan = planMemory(device, source, options, undefined, adapters);
  checkPlan(device, plan, source.label, (available) => nearest(device, source, options, adapters, available));
  return plan;
}

/**
 * @param hint what to try, where so many bytes are left
 * @throws LolaError "device" where a plan takes more than a device has left, with the numbers
 */
export function checkPlan(device: Device, plan: MemoryPlan, label: string, hint: (available: number) => string): void {
  const available = (device.info.memoryLimit ?? Number.POSITIVE_INFINITY) - device.memory;
  if (plan.total <= available) return;
  const left = bytes(Math.max(0, available));
  throw new LolaError("device", `${label} needs ${describePlan(plan)}; ${left} are left`, hint(available));
}

/** "5.32 GB of memory: weights 4.32 GB, cache 805 MB, the rest 194 MB". */
export function describePlan({ total, weights, mapped, cache, activations, logits, program }: MemoryPlan): string {
  const how = mapped === 0 ? "" : mapped === weights ? ", mapped" : `, ${bytes(mapped)} of them mapped`;
  const rest = bytes(activations + logits + program);
  return `${bytes(total)} of memory (weights ${bytes(weights)}${how}; cache ${bytes(cache)}; the rest ${rest})`;
}

/** Steps in which contexts are proposed, and the least that is of use. */
const [contextStep, leastContext] = [64, 128];

/** Flags, or the command, of the nearest setting that fits: a smaller cache, one of fewer positions, experts in turns, fewer bits. */
function nearest(
  device: Device,
  source: ModelSource,
  options: SessionOptions,
  adapters: readonly AdapterConfig[],
  available: number,
): string {
  const fits = (model: PlannedModel, changed: SessionOptions = {}, slots?: number) =>
    planMemory(device, model, { ...options, ...changed }, slots, adapters).total <= available;
  const cache = cacheTypes.find(
    (type, i) => i > cacheTypes.indexOf(options.cache ?? "f32") && fits(source, { cache: type }),
  );
  if (cache) return `--cache ${cache}`;
  let [low, high] = [0, Math.floor(((options.context ?? source.config.context) - 1) / contextStep)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(source, { context: middle * contextStep })) low = middle;
    else high = middle - 1;
  }
  if (low * contextStep >= leastContext) return `--ctx ${low * contextStep}`;
  // An adapter is for this very model, and its experts cannot take turns.
  if (adapters.length > 0) return "lola merge, then lola quantize";
  if (moeLayers(source.config).length > 0 && fits(source, {}, 1))
    return `--memory ${Math.floor(available / 2 ** 20)}MiB`;
  for (const type of ["q8", "q4"] as const) {
    const tensors = new Map(planFor(source, presetChoice(type)).map((tensor) => [tensor.name, tensor]));
    if (fits({ config: source.config, tensors })) return `lola quantize ${source.label} --type ${type} -o small.lola`;
  }
  return "a smaller model, or a machine with more memory";
}
