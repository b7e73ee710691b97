/** Does a run fit, and what would if it does not? */
import { LolaError } from "../base/errors.ts";
import type { DeviceInfo } from "../device/device.ts";
import { parameterCounts, presetNames, presets } from "../model/presets.ts";
import type { RunConfig } from "../train/config.ts";
import { planTraining } from "../train/plan.ts";
import { bytes } from "./style.ts";
import type { Plan } from "./train-show.ts";

/** Bytes that the engine may take; null for a hardware GPU, which does not tell. */
export function availableMemory({ memoryLimit }: DeviceInfo): number | null {
  return memoryLimit ?? null;
}

/** @throws LolaError "device" with the numbers and the nearest setting that fits */
export function refuseTooLarge({ config, memory }: Pick<Plan, "config" | "memory">): void {
  const { total, available } = memory;
  if (available === null || total <= available) return;
  const { parameters, gradients, moments } = memory;
  const weights = bytes(parameters + gradients + moments);
  throw new LolaError(
    "device",
    `this run needs ${bytes(total)} of memory, ${weights} of them for weights, gradients and moments; ${bytes(available)} are left`,
    smaller(config, available),
  );
}

/** Flags of the nearest run that fits: smaller parts, then activations computed again, then a smaller model. */
function smaller(config: RunConfig, available: number): string {
  const { model, recipe, shape, accumulate } = config;
  const fits = (other: Pick<RunConfig, "model" | "shape">) => planTraining({ ...other, recipe }).total <= available;
  const parts = Array.from({ length: shape.batch }, (_, i) => shape.batch - i).filter((n) => shape.batch % n === 0);
  for (const recompute of shape.recompute ? [true] : [false, true]) {
    const batch = parts.find((n) => fits({ model, shape: { ...shape, batch: n, recompute } }));
    if (batch === undefined) continue;
    const flags = `--micro-batch ${batch} --accumulate ${(accumulate * shape.batch) / batch}`;
    return recompute ? `${flags} --recompute` : flags;
  }
  const { total } = parameterCounts(model);
  const preset = presetNames.findLast((name) => {
    const { sizes } = presets[name];
    return (
      parameterCounts(sizes).total < total &&
      fits({ model: { ...model, ...sizes }, shape: { ...shape, batch: 1, time: sizes.context } })
    );
  });
  return preset ? `--preset ${preset} --micro-batch 1` : "a machine with more memory";
}
