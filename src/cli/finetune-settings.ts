/** Flags of `lola finetune` → the settings of a run, but for how many rows are computed at a time. */
import { LolaError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { version } from "../base/version.ts";
import {
  type AdapterConfig,
  type AdapterTarget,
  adapterModules,
  adapterTargets,
  targetGroups,
} from "../checkpoint/adapter.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Method, TuningConfig } from "../train/config.ts";
import type { FinetuneFlags } from "./finetune-flags.ts";
import { kebab } from "./table.ts";

/** What settings depend on besides flags. */
export interface Basis {
  model: ModelConfig;
  base: TuningConfig["base"];
  device: TuningConfig["device"];
  /** Files of the data. */
  paths: string[];
  keep: string[];
  template: TuningConfig["template"];
  /** Tokens of a row. */
  time: number;
  languages: number;
  /** Rows of one epoch, and of so many. */
  rows(epochs: number): number;
  /** Of each MoE layer, where only some are trained. */
  experts: number[][] | undefined;
}

const defaults = { epochs: 3, rank: 16, patience: 5, validation: 0.05, share: 0.8, forget: 0.01 };

/** Learning rates that suit adapters, which begin at zero, and weights, which are good already. */
const rates: Record<Method, number> = { lora: 1e-3, full: 2e-4, experts: 2e-4 };

/** Tokens of a row where examples do not need more; of a step; steps of an epoch that are wanted at least. */
const usual = { row: 512, step: 4096, epoch: 16 };

/** `--only-experts` alone is a method; with adapters, where they are. */
export function methodOf({ method, onlyExperts }: Pick<FinetuneFlags, "method" | "onlyExperts">): Method {
  return method ?? (onlyExperts === undefined ? "lora" : "experts");
}

/**
 * The share of tokens that the experts to be trained are to see.
 * @returns undefined: all experts, whatever they see
 */
export function expertShare(flags: Pick<FinetuneFlags, "method" | "onlyExperts">): number | undefined {
  const { onlyExperts = methodOf(flags) === "experts" ? "auto" : undefined } = flags;
  if (onlyExperts === undefined) return undefined;
  if (onlyExperts === "auto") return defaults.share;
  const [, digits] = /^(\d+(?:\.\d+)?)%$/.exec(onlyExperts) ?? [];
  const share = Number(digits) / 100;
  if (share > 0 && share <= 1) return share;
  throw new LolaError("usage", `--only-experts: expected auto, or percent as 80%, got ${JSON.stringify(onlyExperts)}`);
}

/** Refuses, before any data is read, what no data could make right. @throws LolaError "usage" */
export function checkFlags(flags: FinetuneFlags, model: ModelConfig): void {
  const method = methodOf(flags);
  for (const flag of ["rank", "alpha", "targets"] as const)
    if (flags[flag] !== undefined && method !== "lora")
      throw new LolaError("usage", `--${flag} has no meaning with --method ${method}`, "--method lora");
  if (flags.onlyExperts !== undefined && method === "full")
    throw new LolaError("usage", "--method full trains all weights, --only-experts some", "one of them");
  if (flags.optimizer === "muon" && method === "lora")
    throw new LolaError("usage", "--optimizer muon is for weights: adapters have adamw", "without it");
  if (expertShare(flags) !== undefined && moeLayers(model).length === 0)
    throw new LolaError("usage", "the model has no experts", "--method lora");
  if (flags.forget !== undefined && flags.keep.length === 0)
    throw new LolaError("usage", "--forget has no meaning without --keep", "--keep with texts of what is to be kept");
  if (flags.keep.length > 0 && (validationShare(flags) === 0 || flags.forget === 0 || flags.keep.includes("-")))
    throw new LolaError(
      "usage",
      "--keep needs files, and held-out examples of them to measure",
      "--validation and --forget above 0",
    );
  if (flags.epochs !== undefined && flags.tokens !== undefined)
    throw new LolaError("usage", "--epochs and --tokens are two lengths", "one of them");
  const { batch, microBatch, context } = flags;
  if (batch !== undefined && microBatch !== undefined && batch % microBatch !== 0)
    throw new LolaError("usage", `--micro-batch ${microBatch} does not divide a batch of ${batch} rows`);
  if (context !== undefined && context > model.context)
    throw new LolaError("usage", `--context ${context}: the model has ${model.context} positions`);
  if (method === "lora") adapterOf(flags, model, undefined);
}

/** Share of the examples that is held out. */
export function validationShare({ validation = defaults.validation }: Pick<FinetuneFlags, "validation">): number {
  return validation;
}

/** Tokens of a row: as asked for, else what is usual, more where the longest example needs them. */
export function rowTokens({ context }: Pick<FinetuneFlags, "context">, model: ModelConfig, longest: number): number {
  const needed = 64 * Math.ceil(Math.max(longest, usual.row) / 64);
  return context ?? Math.min(model.context, needed);
}

/** Settings with all rows of a step at a time. @throws LolaError "usage" where flags contradict each other */
export function resolveTuning(flags: FinetuneFlags, basis: Basis): TuningConfig {
  const { model, time, languages, experts } = basis;
  const method = methodOf(flags);
  const epoch = basis.rows(1);
  const few = Math.max(1, Math.floor(epoch / usual.epoch));
  const batch = flags.batch ?? flags.microBatch ?? Math.min(few, Math.max(1, Math.round(usual.step / time)));
  const rows = flags.tokens === undefined ? basis.rows(flags.epochs ?? defaults.epochs) : flags.tokens / time;
  const steps = Math.ceil(rows / batch);
  const tokens = flags.tokens ?? steps * batch * time;
  const { keep } = basis;
  // Each time, several strengths are measured where there is something to keep.
  const often = keep.length > 0 ? 8 : 20;
  const validateEvery = flags.validateEvery ?? Math.min(500, Math.max(5, Math.round(steps / often)));
  const rate = flags.lr ?? rates[method];
  return {
    version,
    method,
    base: basis.base,
    ...(experts && { experts }),
    template: basis.template,
    model,
    recipe: {
      optimizer: flags.optimizer ?? "adamw",
      tokens,
      rate,
      finalRate: flags.minLr ?? Number((rate / 10).toPrecision(12)),
      warmup: flags.warmup ?? Math.round(0.05 * tokens),
      decay: tokens,
      ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8 },
      weightDecay: flags.weightDecay ?? 0,
      clip: flags.clip ?? 1,
      balance: flags.balance ?? 0.01,
    },
    shape: {
      ...{ batch, time, recompute: flags.recompute },
      dropout: method === "lora" ? 0 : (flags.dropout ?? 0),
      ...(method === "lora" && { adapter: adapterOf(flags, model, experts) }),
    },
    accumulate: 1,
    seed: String(flags.seed ?? 1n),
    device: basis.device,
    data: {
      paths: basis.paths,
      validation: validationShare(flags),
      windows: flags.windows ?? Math.max(2, Math.floor(64 / languages)),
      trainOnPrompt: flags.trainOnPrompt,
      tooLong: flags.tooLong ?? "error",
      ...(keep.length > 0 && { keep: { paths: keep, forget: flags.forget ?? defaults.forget } }),
    },
    validateEvery,
    saveEvery: flags.saveEvery ?? validateEvery,
    patience: flags.patience ?? defaults.patience,
    baseline: true,
  };
}

/** @throws LolaError "usage" for targets that are none, or that the model has not */
function adapterOf(flags: FinetuneFlags, model: ModelConfig, experts: number[][] | undefined): AdapterConfig {
  const { rank = defaults.rank, alpha = 2 * rank, dropout = 0, targets: named = "all" } = flags;
  const groups = { ...targetGroups, all: adapterTargets.filter((target) => target !== "head") };
  const chosen = named.split(",").flatMap((name): readonly AdapterTarget[] => {
    const group = groups[name.trim() as keyof typeof groups];
    if (group) return group;
    const known = Object.keys(groups);
    const meant = nearest(name, known);
    throw new LolaError(
      "usage",
      `--targets: expected some of ${known.join(", ")}, got ${JSON.stringify(name)}`,
      meant && `--targets ${meant}`,
    );
  });
  const targets = adapterTargets.filter((target) => chosen.includes(target));
  const onExperts = targets.some((target) => target.startsWith("experts."));
  if (expertShare(flags) !== undefined && !onExperts)
    throw new LolaError("usage", `--only-experts, but --targets ${named} has no experts`, "--targets experts");
  const config: AdapterConfig = { rank, alpha, dropout, targets, ...(experts && { experts }) };
  if (adapterModules(model, config).size > 0) return config;
  throw new LolaError("usage", `--targets ${named}: the model has no such matrices`, "--targets attention");
}

/** Where the settings of a run say what a flag would: a run that goes on keeps them. */
const held: { [K in keyof FinetuneFlags]?: (config: TuningConfig) => unknown } = {
  method: (c) => c.method,
  rank: (c) => c.shape.adapter?.rank,
  alpha: (c) => c.shape.adapter?.alpha,
  dropout: (c) => c.shape.adapter?.dropout ?? c.shape.dropout,
  tokens: (c) => c.recipe.tokens,
  context: (c) => c.shape.time,
  batch: (c) => c.shape.batch * c.accumulate,
  microBatch: (c) => c.shape.batch,
  recompute: (c) => c.shape.recompute,
  optimizer: (c) => c.recipe.optimizer,
  lr: (c) => c.recipe.rate,
  minLr: (c) => c.recipe.finalRate,
  warmup: (c) => c.recipe.warmup,
  weightDecay: (c) => c.recipe.weightDecay,
  clip: (c) => c.recipe.clip,
  balance: (c) => c.recipe.balance,
  seed: (c) => BigInt(c.seed),
  validation: (c) => c.data.validation,
  windows: (c) => c.data.windows,
  trainOnPrompt: (c) => c.data.trainOnPrompt,
  tooLong: (c) => c.data.tooLong,
  forget: (c) => c.data.keep?.forget,
  patience: (c) => c.patience,
  validateEvery: (c) => c.validateEvery,
  saveEvery: (c) => c.saveEvery,
  precision: (c) => c.device.precision ?? "f32",
};

/** What a resume may be told anew; the model only where it lies. */
const free: readonly string[] = ["resume", "device", "threads", "dryRun", "jsonl", "model"];

/**
 * Does a flag that was given say something else than the run that is to go on?
 * @param given names of the flags on the command line
 * @throws LolaError "usage" naming both values
 */
export function refuseChanges(
  flags: FinetuneFlags,
  given: readonly (keyof FinetuneFlags)[],
  config: TuningConfig,
): void {
  for (const key of given) {
    if (free.includes(key)) continue;
    const now = held[key]?.(config);
    if (held[key] && now === flags[key]) continue;
    const name = `--${kebab(key)}`;
    const why = held[key]
      ? `${name} ${flags[key]} contradicts the run's ${now ?? "none"}`
      : `${name} is settled when a run begins`;
    throw new LolaError("usage", `${why}: --resume keeps all its settings`, "without it; or a new run");
  }
}
