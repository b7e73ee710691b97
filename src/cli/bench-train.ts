/** The part of `lola bench` that trains a random model and times its steps. */
import { LolaError } from "../base/errors.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { presets } from "../model/presets.ts";
import { parseShape } from "./bench-model.ts";
import type { BenchContext, BenchFlags, BenchResult } from "./commands/bench.ts";

/** What is timed when nothing is said: six layers, three of them mixtures of 16. */
const usualShape = "256-6-4-1024-16384-16";
const usualBatch = 16;
const usualContext = 256;

/** Times whole steps. */
export async function benchTraining({ flags, notes }: BenchContext): Promise<Partial<BenchResult>> {
  const { config, name, batch } = trainedModel(flags);
  const { openDevice } = await import("../device/choose.ts");
  const { measureTraining } = await import("../train/measure.ts");
  const { threads, precision } = flags;
  const { device, why } = await openDevice(flags.device, { precision, ...(threads && { threads }) });
  try {
    notes.tell(why);
    notes.progress("loading");
    const shape = { batch, time: config.context, recompute: flags.recompute, dropout: 0 };
    const training = await measureTraining(device, config, shape, flags.steps, (done) =>
      notes.progress(`step ${done} of ${flags.steps}`),
    );
    const { kind, name: engine } = device.info;
    const size = `${batch} × ${config.context}${flags.recompute ? ", recomputing" : ""}`;
    return { device: { kind, name: engine }, model: { name: `random ${name}, batch ${size}` }, training };
  } finally {
    notes.progress("");
    device.close();
  }
}

/** @throws LolaError "usage" when flags contradict each other */
function trainedModel(flags: BenchFlags): { config: ModelConfig; name: string; batch: number } {
  if (flags.model !== undefined)
    throw new LolaError("usage", "lola bench train times random weights", "--preset or --shape instead of --model");
  if (flags.preset !== undefined && flags.shape !== undefined)
    throw new LolaError("usage", "--preset and --shape are two models", "one of them");
  const preset = flags.preset && presets[flags.preset];
  const context = flags.context ?? preset?.sizes.context ?? usualContext;
  const { width, layers, heads, inner, vocabulary, experts } = preset?.sizes ?? {};
  const shape = preset ? [width, layers, heads, inner, vocabulary, experts].join("-") : (flags.shape ?? usualShape);
  const config = parseShape(shape, context);
  const rows = flags.vocabulary ?? config.vocabulary;
  return {
    config: { ...config, vocabulary: rows },
    name: `${flags.preset ?? shape}, vocabulary ${rows}`,
    batch: flags.batch ?? preset?.microBatch ?? usualBatch,
  };
}
