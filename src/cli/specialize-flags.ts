/** The flags of `lola specialize`. */
import type { Context } from "./context.ts";
import { engineFlags, modelFlag } from "./flags.ts";
import type { Flags, Values } from "./table.ts";

export const specializeFlags = {
  lang: { type: "text", value: "LANGUAGES", doc: "the languages to keep experts for, as texts are labelled: swa,lin" },
  keep: {
    type: "text",
    value: "SHARE",
    default: "25%",
    doc: "experts of each layer that stay: a share of them, or how many (25%, 4)",
  },
  output: { type: "text", value: "FILE", short: "o", doc: "file to write", complete: "file" },
  store: {
    type: "choice",
    value: "HOW",
    choices: ["zstd", "raw"],
    default: "zstd",
    doc: "compressed, or as it is, to be mapped",
  },
  force: { type: "flag", doc: "replace the file if it exists" },
  texts: {
    type: "list",
    value: "TEXT",
    doc: "a folder or file of text in these languages, to choose experts by and fit them to (default: the first half of the Declaration's lines)",
    category: "Texts",
  },
  textBytes: {
    type: "count",
    value: "BYTES",
    default: 20_000,
    min: 1,
    doc: "of each language, to choose by, from its beginning: more fits better, and takes longer",
    category: "Texts",
  },
  eval: {
    type: "list",
    value: "TEXT",
    doc: "measure on udhr (the Declaration; udhr:swa,eng for some languages; without --texts, the second half of its lines), a folder or file of text, or none (default: udhr)",
    category: "Texts",
  },
  evalBytes: {
    type: "count",
    value: "BYTES",
    default: 4000,
    min: 1,
    doc: "of each language, to measure on, from its beginning",
    category: "Texts",
  },
  maxLoss: {
    type: "percent",
    value: "PERCENT",
    doc: "write nothing if one of the chosen languages takes more bits per byte by this much (3%)",
    category: "Texts",
  },
  ...modelFlag,
  ...engineFlags,
} as const satisfies Flags;

export type SpecializeFlags = Values<typeof specializeFlags>;
export type SpecializeContext = Context<SpecializeFlags>;
