/** Flags that several commands share. */
import { deviceChoices } from "../device/choose.ts";
import { precisions } from "../device/device.ts";
import { cacheTypes } from "../model/cache.ts";
import type { Flags } from "./table.ts";

export const modelFlag = {
  model: {
    type: "text",
    value: "MODEL",
    short: "m",
    doc: "a .lola file, a model folder, or the name of a stored model (default: the built-in one)",
    category: "Model and engine",
    setting: true,
    complete: "model",
  },
} as const satisfies Flags;

export const engineFlags = {
  device: {
    type: "choice",
    value: "DEVICE",
    choices: deviceChoices,
    default: "auto",
    doc: "what computes",
    category: "Model and engine",
    setting: true,
  },
  threads: {
    type: "integer",
    value: "N",
    min: 1,
    max: 1024,
    doc: "threads of the CPU engine (default: all cores)",
    category: "Model and engine",
    setting: true,
  },
} as const satisfies Flags;

export const cacheFlag = {
  cache: {
    type: "choice",
    value: "TYPE",
    choices: cacheTypes,
    default: "f32",
    doc: "how keys and values are kept: f16 takes half of their memory, q8 about a quarter",
    category: "Model and engine",
    setting: true,
  },
} as const satisfies Flags;

/** Of commands that keep a sequence in memory. */
export const sessionFlags = {
  ctx: {
    type: "integer",
    value: "N",
    min: 2,
    doc: "positions to keep, of prompt and text together (default: as many as they can take, at most the model's context)",
    category: "Model and engine",
    setting: true,
  },
  ...cacheFlag,
} as const satisfies Flags;

/** Of training, where weights, gradients and moments stay f32 in any case. */
export const precisionFlag = {
  precision: {
    type: "choice",
    value: "TYPE",
    choices: precisions,
    default: "f32",
    doc: "what products multiply; bf16 takes a processor with AMX, f16 a GPU with shader-f16",
    category: "Model and engine",
    setting: true,
  },
} as const satisfies Flags;

/** How the languages of a corpus are mixed, and what is held out of it. */
export const dataFlags = {
  alpha: {
    type: "float",
    value: "A",
    default: 0.3,
    min: 0,
    max: 1,
    doc: "mix of languages, p ~ bytes^A: 1 follows their sizes, 0 treats all alike",
    category: "Data",
  },
  cap: {
    type: "count",
    value: "BYTES",
    min: 1,
    doc: "a language with more text counts as no larger in the mix",
    category: "Data",
  },
  validation: {
    type: "float",
    value: "SHARE",
    default: 0.02,
    min: 0,
    max: 0.5,
    doc: "share of the documents held out, chosen by their content",
    category: "Data",
  },
} as const satisfies Flags;
