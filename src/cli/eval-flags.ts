/** The flags of `lola eval`. */
import type { Context } from "./context.ts";
import { taskFlags } from "./eval-tasks-flags.ts";
import { engineFlags, modelFlag } from "./flags.ts";
import type { Flags, Values } from "./table.ts";

export type EvalAction = "text" | "udhr" | "tasks" | "compare";

export const evalFlags = {
  output: {
    type: "text",
    value: "JSON",
    short: "o",
    doc: "write settings, every sample and the sums; the same command goes on where it was stopped",
    complete: "file",
  },
  force: { type: "flag", doc: "begin anew over results of another model or other settings" },
  csv: { type: "text", value: "FILE", doc: "write a line for each language or task too", complete: "file" },
  report: { type: "text", value: "HTML", doc: "write a page of bars and intervals too", complete: "file" },
  lang: { type: "text", value: "CODES", doc: "only these languages, of tasks too", category: "Texts" },
  limit: {
    type: "count",
    value: "N",
    min: 1,
    doc: "so many documents of each language, or rows of each task, the first ones",
    category: "Texts",
  },
  ...taskFlags,
  ctx: {
    type: "integer",
    value: "N",
    min: 2,
    doc: "tokens that the model sees at most (default: its context)",
    category: "Scoring",
  },
  stride: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "tokens by which windows move on: each but a text's first sees ctx − stride before it, or more (default: half of ctx)",
    category: "Scoring",
  },
  batch: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "windows of one pass, more of shorter texts; scores do not depend on it (default: by the device)",
    category: "Scoring",
  },
  ...modelFlag,
  ...engineFlags,
} as const satisfies Flags;

export type EvalFlags = Values<typeof evalFlags>;
export type EvalContext = Context<EvalFlags, EvalAction>;
