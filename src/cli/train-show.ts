/** What `lola train` tells before the first step and after the last one. */
import type { LanguageShare } from "../data/sampling.ts";
import type { RunConfig } from "../train/config.ts";
import type { Outcome } from "../train/loop.ts";
import type { TrainingPlan } from "../train/plan.ts";
import { quoted } from "./ask.ts";
import { bytes, grouped, table } from "./style.ts";
import { duration } from "./train-progress.ts";

/** What is about to be trained: what `--dry-run` prints. */
export interface Plan {
  run: string | null;
  device: { kind: string; name: string };
  config: RunConfig;
  /** Steps done, of how many. */
  step: number;
  steps: number;
  parameters: { total: number; active: number };
  /** Bytes, and those that the machine has left; null where it does not tell. */
  memory: TrainingPlan & { available: number | null };
  languages: LanguageShare[];
  /** Languages with held-out text, and all of that text. */
  heldOut: { languages: number; documents: number; bytes: number };
}

/** How a run ended this time: what `lola train --json` prints, its keys in snake_case. */
export interface Training {
  run: string;
  end: Outcome["end"];
  step: number;
  steps: number;
  /** Steps left out since their gradient was not finite. */
  skipped: number;
  tokens: number;
  seconds: number;
  /** Of the last step, nats a token; of the last validation. Null where there was none this time. */
  loss: number | null;
  bitsPerByte: number | null;
}

/** Rows of a table that is cut short in the middle. */
const most = 20;

/** @param whole all rows; else the first and the last ones where there are many */
export function shareTable(shares: readonly LanguageShare[], whole: boolean): string {
  const row = (s: LanguageShare) => [
    s.language,
    bytes(s.bytes),
    grouped(s.tokens),
    `${(100 * s.probability).toFixed(2)} %`,
    s.epochs < 10 ? s.epochs.toFixed(2) : grouped(Math.round(s.epochs)),
  ];
  const short = !whole && shares.length > most;
  const head = short ? shares.slice(0, most / 2) : shares;
  const rest = short ? shares.slice(-most / 2) : [];
  const cut = short ? [[`... ${shares.length - most} more`]] : [];
  const right = (rows: (string | number)[][]) =>
    alignRight([["language", "text", "tokens", "share", "epochs"], ...rows]);
  return right([...head.map(row), ...cut, ...rest.map(row)]);
}

/** All columns but the first to the right. */
function alignRight(rows: (string | number)[][]): string {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((r) => String(r[c] ?? "").length)));
  return table(rows.map((r) => r.map((cell, c) => (c === 0 ? cell : String(cell).padStart(widths[c]!)))));
}

/** The sizes of a run in a few lines. */
export function facts({ config, parameters, steps, step, device, memory, heldOut }: Plan): string {
  const { model, shape, accumulate, recipe } = config;
  const { total, active } = parameters;
  const shapeOf = `width ${model.width}, ${model.layers} layers, ${model.heads} heads, ${model.experts} experts of ${model.inner}`;
  const parts = accumulate > 1 ? ` in ${accumulate} parts` : "";
  return table([
    [
      "model",
      `${grouped(total)} parameters, ${grouped(active)} active: ${shapeOf}, vocabulary ${grouped(model.vocabulary)}`,
    ],
    [
      "steps",
      `${grouped(steps)} of ${shape.batch * accumulate} × ${shape.time} tokens${parts}, ${grouped(recipe.tokens)} in all`,
    ],
    ...(step > 0 ? [["done", `${grouped(step)} steps`]] : []),
    [
      "learning rate",
      `${recipe.rate} to ${recipe.finalRate} (${recipe.optimizer}), warm-up over ${grouped(recipe.warmup)} tokens`,
    ],
    ["held out", heldOut.bytes > 0 ? heldOutLine(heldOut, config) : "nothing: no validation, no best checkpoint"],
    ...memoryRows(memory),
    ["device", `${device.kind}: ${device.name}`],
  ]);
}

function heldOutLine(
  { languages, documents, bytes: size }: Plan["heldOut"],
  { data, validateEvery }: RunConfig,
): string {
  const text = `${grouped(documents)} documents, ${bytes(size)}, in ${grouped(languages)} languages`;
  return `${text}; at most ${data.windows} sequences of each, every ${grouped(validateEvery)} steps`;
}

/** All of it, and what it is for. */
export function memoryRows(memory: Plan["memory"]): [string, string][] {
  const { total, available, parameters, gradients, moments, activations, logits, scratch, program } = memory;
  const most = available === null ? "" : ` of ${bytes(available)}`;
  return [
    [
      "memory",
      `${bytes(total)}${most}: parameters ${bytes(parameters)}, gradients ${bytes(gradients)}, moments ${bytes(moments)},`,
    ],
    [
      "",
      `activations ${bytes(activations)}, logits ${bytes(logits)}, scratch ${bytes(scratch)}, program ${bytes(program)}`,
    ],
  ];
}

export function showResult(result: Plan | Training): string {
  if ("config" in result) return `${shareTable(result.languages, true)}\n\n${facts(result)}`;
  const { run, end, step, steps, tokens, seconds, loss, bitsPerByte, skipped } = result;
  return table([
    ["run", run],
    ["steps", `${grouped(step)} of ${grouped(steps)}, ${end}${skipped > 0 ? `; ${skipped} left out` : ""}`],
    ["tokens", grouped(tokens)],
    ["time", duration(seconds)],
    ...(loss === null ? [] : [["loss", loss.toFixed(4)]]),
    ...(bitsPerByte === null ? [] : [["bits per byte", bitsPerByte.toFixed(4)]]),
    ["try it", `lola generate -m ${quoted(run)} "..."`],
  ]);
}
