/** How many rows are computed at a time: as many as fit in memory, what is between them computed again where it must be. */
import { LolaError } from "../base/errors.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { alpaca } from "../data/template.ts";
import type { PlannedModel } from "../model/memory.ts";
import { planFor, presetChoice } from "../quantize/plan.ts";
import type { Method, TuningConfig } from "../train/config.ts";
import { planTraining, type TrainingPlan } from "../train/plan.ts";
import { trainedPart } from "../train/tuning-run.ts";
import { quoted } from "./ask.ts";
import type { FinetuneFlags } from "./finetune-flags.ts";
import { resolveTuning, rowTokens } from "./finetune-settings.ts";
import { bytes } from "./style.ts";

/** Settings that fit, and what they take. */
export interface Fitted {
  config: TuningConfig;
  memory: TrainingPlan;
}

/** Tokens at a time beyond which more are no faster. */
const mostTokens = 8192;
/** Shorter rows are not proposed. */
const leastTime = 64;

/** The memory of a run. */
export function memoryOf(config: TuningConfig, model: PlannedModel): TrainingPlan {
  const plan = planTraining(config, trainedPart(config, model));
  if (!config.data.keep) return plan;
  // What is trained, as it was, as it is and between.
  const copies = 3 * plan.gradients;
  return { ...plan, program: plan.program + copies, total: plan.total + copies };
}

/**
 * @param config with all rows of a step at a time
 * @param limit bytes; null: unknown
 * @param longest tokens of the longest example
 * @throws LolaError "device" where nothing fits, with the numbers and the nearest setting that does
 */
export function fitted(
  config: TuningConfig,
  model: ModelSource,
  flags: Pick<FinetuneFlags, "microBatch" | "recompute">,
  limit: number | null,
  longest: number,
): Fitted {
  const most = limit ?? Number.POSITIVE_INFINITY;
  const found = firstThatFits(config, model, flags, most);
  if (found) return found;
  const least = memoryOf(inParts(config, flags.microBatch ?? 1, true), model);
  const { total, parameters, gradients, moments } = least;
  const weights = bytes(parameters + gradients + moments);
  throw new LolaError(
    "device",
    `this run needs ${bytes(total)} of memory at least, ${weights} of them for weights, gradients and moments; ${bytes(most)} are left`,
    nearest(config, model, flags, most, longest),
  );
}

function firstThatFits(
  config: TuningConfig,
  model: PlannedModel,
  { microBatch, recompute }: Pick<FinetuneFlags, "microBatch" | "recompute">,
  most: number,
): Fitted | undefined {
  const { batch, time } = config.shape;
  const counts = Array.from({ length: batch }, (_, i) => batch - i).filter(
    (n) => batch % n === 0 && (n === 1 || n * time <= mostTokens),
  );
  for (const again of recompute ? [true] : [false, true])
    for (const n of microBatch === undefined ? counts : [microBatch]) {
      const smaller = inParts(config, n, again);
      const memory = memoryOf(smaller, model);
      if (memory.total <= most) return { config: smaller, memory };
    }
  return undefined;
}

/** What a method takes at least with rows of the usual length, and whether so much is free. */
export function leastMemory(
  method: Method,
  flags: FinetuneFlags,
  { config, tensors }: PlannedModel,
): { needed: number; fits: boolean } {
  const all = moeLayers(config).map(() => Array.from({ length: config.experts }, (_, e) => e));
  const tuning = resolveTuning(
    { ...flags, method, batch: 1 },
    {
      model: config,
      base: { model: null, identity: "" },
      device: { kind: "cpu", name: "", software: true },
      ...{ paths: [], keep: flags.keep, template: alpaca, time: rowTokens(flags, config, 0), languages: 1 },
      rows: () => 1,
      experts: method === "experts" ? all : undefined,
    },
  );
  const needed = memoryOf(tuning, { config, tensors }).total;
  return { needed, fits: needed <= process.availableMemory() };
}

/** The same steps, so many rows at a time. */
function inParts(config: TuningConfig, batch: number, recompute: boolean): TuningConfig {
  const { shape, accumulate } = config;
  return { ...config, shape: { ...shape, batch, recompute }, accumulate: (accumulate * shape.batch) / batch };
}

/** Flags, or a command, of the nearest run that fits: smaller parts, shorter rows, less that is trained, fewer bits. */
function nearest(
  config: TuningConfig,
  model: ModelSource,
  flags: Pick<FinetuneFlags, "microBatch" | "recompute">,
  most: number,
  longest: number,
): string {
  const { shape, method } = config;
  const fits = (other: Partial<TuningConfig>, of: PlannedModel = model) =>
    firstThatFits({ ...config, ...other }, of, { microBatch: undefined, recompute: flags.recompute }, most);
  const parts = fits({});
  if (parts) return `--micro-batch ${parts.config.shape.batch}`;
  for (let time = Math.floor(shape.time / 2); time >= Math.max(leastTime, longest); time = Math.floor(time / 2))
    if (fits({ shape: { ...shape, batch: 1, time } })) return `--context ${time} --batch 1`;
  const { adapter, ...whole } = shape;
  const small = adapter ?? { rank: 16, alpha: 32, dropout: 0, targets: ["attn.c_attn", "attn.c_proj"] };
  const lora = { ...whole, adapter: { ...small, rank: Math.min(4, small.rank) } };
  if (fits({ method: "lora", shape: lora }))
    return method === "lora" ? "--rank 4" : "--method lora --targets attention --rank 4";
  for (const type of ["q8", "q4"] as const) {
    const tensors = new Map(planFor(model, presetChoice(type)).map((tensor) => [tensor.name, tensor]));
    if (fits({ method: "lora", shape: lora }, { config: model.config, tensors }))
      return `lola quantize ${quoted(model.label)} --type ${type} -o small.lola, then -m small.lola`;
  }
  return "a smaller model, or a machine with more memory";
}
