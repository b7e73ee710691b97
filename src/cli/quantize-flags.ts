/** The flags of `lola quantize`. */
import type { QuantPreset } from "../quantize/plan.ts";
import type { Context } from "./context.ts";
import { engineFlags, modelFlag } from "./flags.ts";
import type { Flags, Values } from "./table.ts";

const kind = (doc: string) =>
  ({ type: "choice", value: "TYPE", choices: ["q8", "q4", "f16", "bf16", "f32"], doc, category: "Types" }) as const;

export const quantizeFlags = {
  output: { type: "text", value: "FILE", short: "o", doc: "file to write", complete: "file" },
  store: {
    type: "choice",
    value: "HOW",
    choices: ["raw", "zstd"],
    default: "raw",
    doc: "as it is, to be mapped, or compressed",
  },
  force: { type: "flag", doc: "replace the file if it exists" },
  type: {
    type: "choice",
    value: "TYPE",
    choices: ["q8", "q4", "mixed"] satisfies QuantPreset[],
    default: "q8",
    doc: "q8: 8 bits a weight; q4: 4, the embedding and the first layer 8; mixed: experts 4, all else 8",
    category: "Types",
  },
  experts: kind("of the experts' matrices"),
  dense: kind("of the feed-forward matrices between them"),
  attention: kind("of queries, keys, values and their output"),
  embedding: kind("of the tokens' embedding, which is the output as well"),
  gate: {
    type: "choice",
    value: "TYPE",
    choices: ["f32"],
    default: "f32",
    doc: "of gates; these, norms and biases are never quantized",
    category: "Types",
  },
  group: {
    type: "choice",
    value: "N",
    choices: ["32", "64", "128"],
    default: "64",
    doc: "inputs that share a scale: fewer are closer to the weights, and larger",
    category: "Types",
  },
  budget: {
    type: "size",
    value: "SIZE",
    doc: "as many bits as a file of this size holds (4GiB, 500MB), experts giving way first",
    category: "Types",
  },
  calibrate: {
    type: "list",
    value: "TEXT",
    doc: "a folder or file of text in many languages, of each the first 20 kB: its errors are made good by other weights of a matrix as far as they can, and with --budget experts that see little give way first",
    category: "Types",
  },
  eval: {
    type: "list",
    value: "TEXT",
    doc: "measure on udhr (the Declaration; udhr:swa,eng for some languages), a folder or file of text, or none (default: udhr for models of up to 200M active parameters)",
    category: "Measuring",
  },
  evalBytes: {
    type: "count",
    value: "BYTES",
    default: 2000,
    min: 1,
    doc: "of each language, from its beginning",
    category: "Measuring",
  },
  maxLoss: {
    type: "percent",
    value: "PERCENT",
    doc: "write nothing if any language takes more bits per byte by this much (2%)",
    category: "Measuring",
  },
  report: {
    type: "text",
    value: "HTML",
    doc: "write what was measured as a page, too",
    category: "Measuring",
    complete: "file",
  },
  ...modelFlag,
  ...engineFlags,
} as const satisfies Flags;

export type QuantizeFlags = Values<typeof quantizeFlags>;
export type QuantizeContext = Context<QuantizeFlags>;
