/** Flags of `lola train` → the settings of a run. */
import { LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { DeviceInfo } from "../device/device.ts";
import { type Preset, paddedVocabulary, parameterCounts, presets, type Sizes, usualHeads } from "../model/presets.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { RunConfig } from "../train/config.ts";
import type { TrainFlags } from "./train-flags.ts";

/** What settings depend on besides flags. */
export interface Basis {
  tokenizer: Tokenizer;
  /** Of the model to start from. */
  model: ModelConfig | undefined;
  device: RunConfig["device"];
  /** Files of the data. */
  paths: string[];
  /** Languages, and tokens to train on. */
  languages: number;
  tokens: number;
}

/** Tokens for each active parameter beyond which a larger model would learn more (Hoffmann et al., NeurIPS 2022). */
const tokensPerParameter = 20;
/** Times that a text can be read and still be almost as good as new (Muennighoff et al., NeurIPS 2023). */
const usefulEpochs = 4;

export function presetOf(flags: Pick<TrainFlags, "preset">): Preset {
  return presets[flags.preset ?? "nano"];
}

/** The device of a run, as its settings tell it: a resume takes the same again. */
export function deviceOf(
  { kind, name, software }: DeviceInfo,
  { precision, threads }: Pick<TrainFlags, "precision" | "threads">,
): RunConfig["device"] {
  return { kind, name, software, precision, ...(threads && { threads }) };
}

/** @throws LolaError "usage" where flags contradict each other or cannot be */
export function resolveSettings(flags: TrainFlags, basis: Basis): RunConfig {
  const preset = presetOf(flags);
  const model = basis.model ? keptModel(flags, basis.model) : newModel(flags, preset.sizes, basis.tokenizer);
  const time = flags.context ?? model.context;
  if (time > model.context)
    throw new LolaError(
      "usage",
      `--context ${time}: the model has ${model.context} positions`,
      `--context ${model.context}`,
    );
  const { microBatch, accumulate } = batches(flags, preset);
  const { active } = parameterCounts(model);
  const stepTokens = microBatch * accumulate * time;
  const usual = Math.min(tokensPerParameter * active, usefulEpochs * basis.tokens);
  const tokens = flags.tokens ?? Math.max(1, Math.round(usual / stepTokens)) * stepTokens;
  const often = Math.min(500, Math.max(10, Math.round(tokens / stepTokens / 50)));
  const validateEvery = flags.validateEvery ?? often;
  const rate = flags.lr ?? preset.rate;
  return {
    version,
    model,
    recipe: {
      optimizer: flags.optimizer ?? preset.optimizer,
      tokens,
      rate,
      finalRate: flags.minLr ?? Number((rate / 10).toPrecision(12)),
      warmup: flags.warmup ?? Math.round(preset.warmup * tokens),
      decay: Math.round(preset.decay * tokens),
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: flags.weightDecay,
      clip: flags.clip,
      balance: flags.balance,
    },
    shape: {
      batch: microBatch,
      time,
      recompute: flags.recompute,
      dropout: flags.dropout ?? preset.dropout ?? 0,
      ...capacity(flags, preset),
    },
    accumulate,
    sigma: preset.sigma,
    seed: String(flags.seed ?? 1n),
    device: basis.device,
    data: {
      paths: basis.paths,
      alpha: flags.alpha,
      ...(flags.cap !== undefined && { cap: flags.cap }),
      validation: flags.validation,
      windows: flags.windows ?? Math.min(16, Math.max(2, Math.floor(512 / basis.languages))),
    },
    validateEvery,
    saveEvery: flags.saveEvery ?? validateEvery,
    ...(flags.routingEvery !== undefined && { routingEvery: flags.routingEvery }),
  };
}

/** The sizes of a model to start from cannot be others. @throws LolaError "usage" */
function keptModel(flags: TrainFlags, model: ModelConfig): ModelConfig {
  if (flags.tokenizer !== undefined)
    throw new LolaError("usage", "--model and --tokenizer are two tokenizers", "one of them");
  for (const size of ["vocabulary", "width", "layers", "heads", "inner", "experts"] as const) {
    if (flags[size] === undefined || flags[size] === model[size]) continue;
    throw new LolaError("usage", `--${size} ${flags[size]}: the model to start from has ${model[size]}`, "without it");
  }
  return model;
}

/** Refuses, before any data is read, what no data could make right. @throws LolaError "usage" */
export function checkFlags(flags: TrainFlags): void {
  const preset = presetOf(flags);
  widthAndHeads(flags, preset.sizes);
  batches(flags, preset);
  capacity(flags, preset);
}

function widthAndHeads(flags: TrainFlags, preset: Sizes): Pick<ModelConfig, "width" | "heads"> {
  const width = flags.width ?? preset.width;
  const heads = flags.heads ?? (width === preset.width ? preset.heads : usualHeads(width));
  if (width % heads === 0) return { width, heads };
  throw new LolaError("usage", `--heads ${heads} do not divide a width of ${width}`, `--heads ${usualHeads(width)}`);
}

function newModel(flags: TrainFlags, preset: Sizes, tokenizer: Tokenizer): ModelConfig {
  const { width, heads } = widthAndHeads(flags, preset);
  const rows = flags.tokenizer === undefined ? undefined : flags.vocabulary;
  if (rows !== undefined && rows < tokenizer.size)
    throw new LolaError(
      "usage",
      `--vocabulary ${rows}: the tokenizer has ${tokenizer.size} tokens`,
      `--vocabulary ${paddedVocabulary(tokenizer.size)}`,
    );
  const eos = idOf(tokenizer, "eos_token");
  if (eos === undefined)
    throw new LolaError(
      "usage",
      "the tokenizer names no token that ends a text",
      "one whose special_tokens_map.json has an eos_token",
    );
  return {
    family: "lola_v1",
    vocabulary: rows ?? paddedVocabulary(tokenizer.size),
    context: flags.context ?? preset.context,
    width,
    layers: flags.layers ?? preset.layers,
    heads,
    inner: flags.inner ?? 4 * width,
    experts: flags.experts ?? preset.experts,
    normEpsilon: 1e-5,
    bos: idOf(tokenizer, "bos_token") ?? eos,
    eos,
    pad: idOf(tokenizer, "pad_token") ?? eos,
  };
}

function idOf({ data }: Tokenizer, role: "bos_token" | "eos_token" | "pad_token"): number | undefined {
  return data.added.find(({ content }) => content === data.roles[role])?.id;
}

/** Sequences of a micro-batch and micro-batches of a step; any two of the three flags say all. */
function batches(flags: TrainFlags, preset: Preset): { microBatch: number; accumulate: number } {
  const { batch, microBatch, accumulate } = flags;
  if (microBatch !== undefined && accumulate !== undefined) {
    if (batch !== undefined && batch !== microBatch * accumulate)
      throw new LolaError(
        "usage",
        `--batch ${batch} is not --micro-batch ${microBatch} × --accumulate ${accumulate}`,
        "two of them",
      );
    return { microBatch, accumulate };
  }
  const all = batch ?? preset.batch;
  const parts = accumulate ?? (microBatch === undefined ? divisor(all, preset.microBatch) : all / microBatch);
  if (!Number.isInteger(parts) || !Number.isInteger(all / parts)) {
    const flag = accumulate === undefined ? `--micro-batch ${microBatch}` : `--accumulate ${accumulate}`;
    throw new LolaError("usage", `${flag} does not divide a batch of ${all} sequences`, "--batch, a multiple of it");
  }
  return { microBatch: all / parts, accumulate: parts };
}

/** Fewest equal parts of `all` that hold at most `most` each. */
function divisor(all: number, most: number): number {
  let parts = Math.ceil(all / most);
  while (all % parts !== 0) parts++;
  return parts;
}

function capacity(flags: TrainFlags, preset: Preset): Pick<RunConfig["shape"], "capacity"> {
  const factor = flags.capacityFactor ?? preset.capacity ?? 0;
  if (factor > 0) return { capacity: { factor, least: flags.minCapacity ?? 4, random: flags.tokenOrder !== "first" } };
  if (flags.minCapacity === undefined && flags.tokenOrder === undefined) return {};
  const flag = flags.minCapacity === undefined ? "--token-order" : "--min-capacity";
  throw new LolaError("usage", `${flag} has no meaning while experts take all rows`, "--capacity-factor 1 with it");
}

/** Where the settings of a run say what a flag would: a run that goes on keeps them. */
const held: { [K in keyof TrainFlags]?: (config: RunConfig) => unknown } = {
  context: (c) => c.shape.time,
  width: (c) => c.model.width,
  layers: (c) => c.model.layers,
  heads: (c) => c.model.heads,
  inner: (c) => c.model.inner,
  experts: (c) => c.model.experts,
  tokens: (c) => c.recipe.tokens,
  batch: (c) => c.shape.batch * c.accumulate,
  microBatch: (c) => c.shape.batch,
  accumulate: (c) => c.accumulate,
  optimizer: (c) => c.recipe.optimizer,
  lr: (c) => c.recipe.rate,
  minLr: (c) => c.recipe.finalRate,
  warmup: (c) => c.recipe.warmup,
  weightDecay: (c) => c.recipe.weightDecay,
  clip: (c) => c.recipe.clip,
  balance: (c) => c.recipe.balance,
  dropout: (c) => c.shape.dropout,
  capacityFactor: (c) => c.shape.capacity?.factor ?? 0,
  minCapacity: (c) => c.shape.capacity?.least,
  tokenOrder: (c) => c.shape.capacity && (c.shape.capacity.random ? "random" : "first"),
  recompute: (c) => c.shape.recompute,
  seed: (c) => BigInt(c.seed),
  alpha: (c) => c.data.alpha,
  cap: (c) => c.data.cap,
  validation: (c) => c.data.validation,
  windows: (c) => c.data.windows,
  validateEvery: (c) => c.validateEvery,
  saveEvery: (c) => c.saveEvery,
  routingEvery: (c) => c.routingEvery,
  precision: (c) => c.device.precision ?? "f32",
};

/** What a resume may be told anew; not whether products are in f16, on which the scaling of the loss depends. */
const free: readonly string[] = ["resume", "device", "threads", "precision", "dryRun", "jsonl"];

/**
 * Does a flag that was given say something else than the run that is to go on?
 * @param given names of the flags on the command line
 * @throws LolaError "usage" naming both values
 */
export function refuseChanges(flags: TrainFlags, given: readonly (keyof TrainFlags)[], config: RunConfig): void {
  const half = [flags.precision, config.device.precision].filter((precision) => precision === "f16").length;
  for (const key of given) {
    if (free.includes(key) && !(key === "precision" && half === 1)) continue;
    const name = `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
    const now = held[key]?.(config);
    if (held[key] && now === flags[key]) continue;
    const why = held[key]
      ? `${name} ${flags[key]} contradicts the run's ${now ?? "none"}`
      : `${name} is settled when a run begins`;
    throw new LolaError(
      "usage",
      `${why}: --resume keeps all its settings`,
      "without it; or -m MODEL -o RUN for a new run from its weights",
    );
  }
}
