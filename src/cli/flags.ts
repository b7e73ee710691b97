/** Flags that several commands share. */
import { deviceChoices } from "../device/choose.ts";
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
