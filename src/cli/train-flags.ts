/** The flags of `lola train`. */
import { presetNames } from "../model/presets.ts";
import { optimizers } from "../train/optimizer.ts";
import { dataFlags, engineFlags, precisionFlag } from "./flags.ts";
import type { Flags, Values } from "./table.ts";

const run = {
  output: {
    type: "text",
    value: "RUN",
    short: "o",
    doc: "folder of the run; must be empty or absent",
    category: "Run",
    complete: "directory",
  },
  resume: {
    type: "text",
    value: "RUN",
    doc: "go on with a run, exactly as if it had never stopped",
    category: "Run",
    complete: "directory",
  },
  dryRun: { type: "flag", doc: "show the languages, settings and memory; train nothing", category: "Run" },
  jsonl: { type: "flag", doc: "print events, one JSON object a line", category: "Run" },
  validateEvery: {
    type: "integer",
    value: "STEPS",
    min: 1,
    doc: "measure held-out text (default: 50 times in all, at least 10 and at most 500 apart)",
    category: "Run",
  },
  saveEvery: {
    type: "integer",
    value: "STEPS",
    min: 1,
    doc: "save a checkpoint (default: with each validation)",
    category: "Run",
  },
  routingEvery: {
    type: "integer",
    value: "STEPS",
    min: 1,
    doc: "look where held-out text goes, expert by expert, and show it in the report (default: never)",
    category: "Run",
  },
  windows: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "sequences of each language to validate on (default: 512 in all, 2 to 16 each)",
    category: "Run",
  },
} as const satisfies Flags;

const model = {
  preset: {
    type: "choice",
    value: "PRESET",
    choices: presetNames,
    doc: "sizes and recipe to begin with (default: nano)",
    category: "Model",
  },
  model: {
    type: "text",
    value: "MODEL",
    short: "m",
    doc: "go on from this model's weights, with its tokenizer and sizes",
    category: "Model",
    complete: "model",
  },
  tokenizer: {
    type: "text",
    value: "TOKENIZER",
    doc: "a folder, a tokenizer.json or a model (default: a new one is learnt from the data)",
    category: "Model",
    complete: "model",
  },
  vocabulary: {
    type: "integer",
    value: "N",
    min: 262,
    max: 4194304,
    doc: "tokens of a new tokenizer; of a given one, rows of the embedding",
    category: "Model",
  },
  context: { type: "integer", value: "N", min: 2, doc: "tokens of a sequence", category: "Model" },
  width: { type: "integer", value: "N", min: 1, doc: "channels", category: "Model" },
  layers: { type: "integer", value: "N", min: 1, doc: "layers; every second one is a mixture", category: "Model" },
  heads: { type: "integer", value: "N", min: 1, doc: "attention heads (default: of 64 channels)", category: "Model" },
  inner: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "channels inside an expert (default: 4 × width)",
    category: "Model",
  },
  experts: { type: "integer", value: "N", min: 1, doc: "experts of a mixture", category: "Model" },
} as const satisfies Flags;

const recipe = {
  tokens: {
    type: "count",
    value: "N",
    min: 1,
    doc: "tokens to train on (default: 20 for each active parameter, at most 4 times the text)",
    category: "Recipe",
  },
  batch: { type: "integer", value: "N", min: 1, doc: "sequences of a step", category: "Recipe" },
  microBatch: { type: "integer", value: "N", min: 1, doc: "sequences at a time: less memory", category: "Recipe" },
  accumulate: { type: "integer", value: "N", min: 1, doc: "micro-batches of a step", category: "Recipe" },
  optimizer: {
    type: "choice",
    value: "NAME",
    choices: optimizers,
    doc: "of the layers' matrices (default: muon, which learns more of each token; lola-v1: adamw)",
    category: "Recipe",
  },
  lr: { type: "float", value: "RATE", min: 0, doc: "peak learning rate", category: "Recipe" },
  minLr: {
    type: "float",
    value: "RATE",
    min: 0,
    doc: "learning rate at the end (default: a tenth)",
    category: "Recipe",
  },
  warmup: { type: "count", value: "TOKENS", min: 0, doc: "until the peak (default: 2 %)", category: "Recipe" },
  weightDecay: { type: "float", value: "W", default: 0.1, min: 0, doc: "on matrices only", category: "Recipe" },
  clip: {
    type: "float",
    value: "NORM",
    default: 1,
    min: 1e-6,
    doc: "largest norm of the gradient",
    category: "Recipe",
  },
  balance: { type: "float", value: "W", default: 0.01, min: 0, doc: "weight of the balance loss", category: "Recipe" },
  dropout: {
    type: "float",
    value: "P",
    min: 0,
    max: 0.9,
    doc: "share of activations dropped (default: 0)",
    category: "Recipe",
  },
  capacityFactor: {
    type: "float",
    value: "F",
    min: 0,
    doc: "rows an expert takes, in even shares; others pass it by (default: 0, all are taken)",
    category: "Recipe",
  },
  minCapacity: { type: "integer", value: "N", min: 1, doc: "at least so many rows (default: 4)", category: "Recipe" },
  tokenOrder: {
    type: "choice",
    value: "ORDER",
    choices: ["random", "first"],
    doc: "which rows a full expert takes (default: random)",
    category: "Recipe",
  },
  recompute: { type: "flag", doc: "keep only each layer's input: less memory, a third more work", category: "Recipe" },
  seed: { type: "seed", value: "SEED", doc: "of weights, data order and dropping (default: 1)", category: "Recipe" },
} as const satisfies Flags;

export const trainFlags = {
  ...run,
  ...model,
  ...recipe,
  ...dataFlags,
  ...engineFlags,
  ...precisionFlag,
} as const satisfies Flags;

export type TrainFlags = Values<typeof trainFlags>;
