/** The flags of `lola finetune`. */
import type { TooLong } from "../data/examples.ts";
import { methods } from "../train/config.ts";
import { optimizers } from "../train/optimizer.ts";
import type { Context } from "./context.ts";
import { engineFlags, modelFlag, precisionFlag } from "./flags.ts";
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
  dryRun: { type: "flag", doc: "show the data, settings and memory; train nothing", category: "Run" },
  jsonl: { type: "flag", doc: "print events, one JSON object a line", category: "Run" },
  patience: {
    type: "integer",
    value: "N",
    min: 0,
    doc: "end after so many measurements in a row without a better one; 0 is never (default: 5)",
    category: "Run",
  },
  validateEvery: {
    type: "integer",
    value: "STEPS",
    min: 1,
    doc: "measure held-out examples (default: 20 times in all, at least 5 and at most 500 apart)",
    category: "Run",
  },
  saveEvery: {
    type: "integer",
    value: "STEPS",
    min: 1,
    doc: "save a checkpoint (default: with each measurement)",
    category: "Run",
  },
  windows: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "rows of each language to measure on (default: 64 in all, at least 2 each)",
    category: "Run",
  },
} as const satisfies Flags;

const data = {
  preview: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "show N examples, what is learnt of them in bold; train nothing",
    category: "Data",
  },
  template: {
    type: "text",
    value: "FILE",
    doc: "YAML or JSON: the text around instructions and turns (default: Alpaca's)",
    category: "Data",
    complete: "file",
  },
  trainOnPrompt: { type: "flag", doc: "learn prompts too, not only answers", category: "Data" },
  tooLong: {
    type: "choice",
    value: "WHAT",
    choices: ["error", "split", "drop", "truncate"] satisfies TooLong[],
    doc: "what becomes of examples longer than the context; only texts can be split (default: error)",
    category: "Data",
  },
  keep: {
    type: "list",
    value: "PATH",
    doc: "texts of what the model is to stay good at: learnt beside the data, and watched",
    category: "Data",
  },
  forget: {
    type: "percent",
    value: "SHARE",
    doc: "with --keep: how much worse it may get there, on average; more is taken back (default: 1%)",
    category: "Data",
  },
  validation: {
    type: "float",
    value: "SHARE",
    min: 0,
    max: 0.5,
    doc: "share of the examples held out, chosen by their content (default: 0.05)",
    category: "Data",
  },
} as const satisfies Flags;

const method = {
  method: {
    type: "choice",
    value: "METHOD",
    choices: methods,
    doc: "lora: small matrices beside the model's own; full: all weights; experts: those of some experts (default: lora)",
    category: "Method",
  },
  rank: { type: "integer", value: "R", min: 1, max: 4096, doc: "of adapters (default: 16)", category: "Method" },
  alpha: {
    type: "float",
    value: "A",
    min: 1e-3,
    max: 1e6,
    doc: "adapters count A / R times (default: twice the rank)",
    category: "Method",
  },
  targets: {
    type: "text",
    value: "LIST",
    doc: "what has adapters: attention, dense, experts, head, or all but the head (default: all)",
    category: "Method",
  },
  onlyExperts: {
    type: "text",
    value: "SHARE",
    doc: "train just the experts that see this share of the data's tokens in each layer: 90%, or auto: 80% (default with --method experts)",
    category: "Method",
  },
  dropout: {
    type: "float",
    value: "P",
    min: 0,
    max: 0.9,
    doc: "share dropped of adapters' inputs; without adapters, of activations (default: 0)",
    category: "Method",
  },
} as const satisfies Flags;

const recipe = {
  epochs: { type: "integer", value: "N", min: 1, doc: "times each example is seen (default: 3)", category: "Recipe" },
  tokens: {
    type: "count",
    value: "N",
    min: 1,
    doc: "instead: tokens of all rows that are seen, their padding with them",
    category: "Recipe",
  },
  context: {
    type: "integer",
    value: "N",
    min: 2,
    doc: "tokens of a row, into which examples are packed (default: 512, or the longest example)",
    category: "Recipe",
  },
  batch: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "rows of a step (default: about 4,096 tokens, fewer of little data)",
    category: "Recipe",
  },
  microBatch: { type: "integer", value: "N", min: 1, doc: "rows at a time (default: what fits)", category: "Recipe" },
  budget: {
    type: "size",
    value: "SIZE",
    doc: "memory to keep within, by fewer rows at a time and recomputation (default: what is free)",
    category: "Recipe",
  },
  recompute: {
    type: "flag",
    doc: "keep only each layer's input: less memory, a third more work (default: if it fits no other way)",
    category: "Recipe",
  },
  optimizer: {
    type: "choice",
    value: "NAME",
    choices: optimizers,
    doc: "of matrices; adapters always have adamw (default: adamw)",
    category: "Recipe",
  },
  lr: {
    type: "float",
    value: "RATE",
    min: 0,
    doc: "peak learning rate (default: 0.001 of adapters, else 0.0002)",
    category: "Recipe",
  },
  minLr: {
    type: "float",
    value: "RATE",
    min: 0,
    doc: "learning rate at the end (default: a tenth)",
    category: "Recipe",
  },
  warmup: { type: "count", value: "TOKENS", min: 0, doc: "until the peak (default: 5 %)", category: "Recipe" },
  weightDecay: { type: "float", value: "W", min: 0, doc: "on matrices only (default: 0)", category: "Recipe" },
  clip: {
    type: "float",
    value: "NORM",
    min: 1e-6,
    doc: "largest norm of the gradient (default: 1)",
    category: "Recipe",
  },
  balance: { type: "float", value: "W", min: 0, doc: "weight of the balance loss (default: 0.01)", category: "Recipe" },
  seed: { type: "seed", value: "SEED", doc: "of adapters, data order and dropping (default: 1)", category: "Recipe" },
} as const satisfies Flags;

export const finetuneFlags = {
  ...run,
  ...data,
  ...method,
  ...recipe,
  ...modelFlag,
  ...engineFlags,
  ...precisionFlag,
} as const satisfies Flags;

export type FinetuneFlags = Values<typeof finetuneFlags>;
export type FinetuneContext = Context<FinetuneFlags>;
