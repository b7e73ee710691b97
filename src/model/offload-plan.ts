/** How many experts fit a memory limit beside everything else. */
import { LolaError } from "../base/errors.ts";
import type { AdapterConfig } from "../checkpoint/adapter.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Device } from "../device/device.ts";
import { planMemory } from "./memory.ts";
import { ExpertPool } from "./offload-pool.ts";
import type { SessionOptions } from "./session.ts";

/**
 * A pool of as many experts as a limit leaves room for; undefined where all fit, which then need none.
 * @param memory bytes that weights, cache, work and program may take together
 * @param options of the session that will run
 * @param adapters that it will run with
 * @throws LolaError "usage" for a model without experts, "device" where not even the smallest pool fits, naming the least that does
 */
export function poolWithin(
  device: Device,
  source: ModelSource,
  memory: number,
  options: SessionOptions = {},
  adapters: readonly AdapterConfig[] = [],
): ExpertPool | undefined {
  const { config, label } = source;
  const all = moeLayers(config).length * config.experts;
  if (all === 0)
    throw new LolaError("usage", `${label} has no experts that could take turns`, "a run without --memory");
  const plan = (slots: number) => planMemory(device, source, options, slots, adapters);
  const { total, weights, cache, activations, logits, program } = plan(1);
  if (total > memory)
    throw new LolaError(
      "device",
      `${label} takes ${mib(total)} with the fewest experts at once (weights ${mib(weights)}, cache ${mib(cache)}, the rest ${mib(activations + logits + program)}), and --memory is ${mib(memory)}`,
      `--memory ${Math.ceil(total / 2 ** 20)}MiB, or a smaller --ctx`,
    );
  let [low, high] = [1, all];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (plan(middle).total <= memory) low = middle;
    else high = middle - 1;
  }
  return low < all ? new ExpertPool(device, config, source, low) : undefined;
}

const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
