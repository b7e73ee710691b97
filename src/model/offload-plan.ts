/** How many experts fit a memory limit beside everything else, counted by the very code that allocates. */
import { LolaError } from "../base/errors.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { CountingDevice } from "../device/counting.ts";
import type { Device } from "../device/device.ts";
import { ExpertPool } from "./offload-pool.ts";
import { Session, type SessionOptions } from "./session.ts";
import { placeWeights } from "./weights.ts";

/** The program without a model: code, heap, chunks of files on their way. */
const programBytes = 128 << 20;

/**
 * A pool of as many experts as a limit leaves room for; undefined where all fit, which then need none.
 * @param memory bytes that weights, cache, work and program may take together
 * @param options of the session that will run
 * @throws LolaError "usage" for a model without experts, "device" where not even the smallest pool fits, naming the least that does
 */
export function poolWithin(
  device: Device,
  source: ModelSource,
  memory: number,
  options: SessionOptions = {},
): ExpertPool | undefined {
  const { config, label } = source;
  const all = moeLayers(config).length * config.experts;
  if (all === 0)
    throw new LolaError("usage", `${label} has no experts that could take turns`, "a run without --memory");
  const least = takenBy(source, 1, options);
  if (least.total > memory)
    throw new LolaError(
      "device",
      `${label} takes ${mib(least.total)} with the fewest experts at once (${mib(least.experts)}; other weights ${mib(least.dense)}, cache and activations ${mib(least.session)}), and --memory is ${mib(memory)}`,
      `--memory ${Math.ceil(least.total / 2 ** 20)}MiB, or a shorter context`,
    );
  let [low, high] = [1, all];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (takenBy(source, middle, options).total <= memory) low = middle;
    else high = middle - 1;
  }
  return low < all ? new ExpertPool(device, config, source, low) : undefined;
}

/** Bytes with so many slots, by what they are for. */
function takenBy(source: ModelSource, slots: number, options: SessionOptions) {
  const { config, tensors } = source;
  const device = new CountingDevice();
  const pool = new ExpertPool(device, config, source, slots);
  const experts = device.memory;
  const { weights } = placeWeights(device, config, (name) => tensors.get(name)!.type, pool);
  const dense = device.memory - experts;
  const { chunk } = new Session(device, config, weights, options);
  const session = device.memory - experts - dense;
  // What products of the CPU engine make of their rows on the way.
  const rounded = 4 * chunk * Math.max(config.inner, 3 * config.width);
  return { experts, dense, session, total: device.memory + rounded + programBytes };
}

const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
