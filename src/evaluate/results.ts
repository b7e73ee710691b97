/** What an evaluation leaves: one file of JSON with what was asked, every sample, and what they add up to. */
import { readFileSync } from "node:fs";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { sha256 } from "../base/hash.ts";

/** What scores depend on; samples under equal ones may be put together. */
export interface Conditions {
  /** Of the file's layout: 1. */
  format: 1;
  /** Version of lola. */
  version: string;
  model: { label: string; identity: string };
  device: { kind: string; name: string };
  /** Flags that change scores: context, stride; examples before a question. */
  settings: Readonly<Record<string, string | number | boolean>>;
}

/** A document that a model read. */
export interface TextSample {
  kind: "text";
  /** Of language and text, `idOf`. */
  id: string;
  language: string;
  /** UTF-8. */
  bytes: number;
  tokens: number;
  /** −log₂ of its probability after an end of text. */
  bits: number;
  /** Its paragraphs in order: bytes, and bits of the tokens that begin in it. */
  parts: readonly (readonly [bytes: number, bits: number])[];
}

/** A question that a model answered. */
export interface TaskSample {
  kind: "task";
  /** Of task and all that was asked, `idOf`. */
  id: string;
  task: string;
  /** Undefined where the task does not tell. */
  language?: string;
  /** The right answer, and the model's. */
  target: string;
  answer: string;
  /** Log-likelihood of each choice, nats. */
  scores?: readonly number[];
  /** By name: acc is 0 or 1. */
  metrics: Readonly<Record<string, number>>;
}

export type Sample = TextSample | TaskSample;

/** 95 %, by bootstrap. */
export type Interval = readonly [low: number, high: number];

/** Of one language. */
export interface LanguageScore {
  language: string;
  /** In English; undefined where it is not known. */
  name?: string;
  family?: string;
  documents: number;
  bytes: number;
  tokens: number;
  bits: number;
  bitsPerByte: number;
  /** Of bits per byte; null where there is one unit only. */
  interval: Interval | null;
  /** What was resampled. */
  unit: "documents" | "paragraphs";
  /** Per token. */
  perplexity: number;
}

/** Of one task. */
export interface TaskScore {
  task: string;
  language?: string;
  samples: number;
  metrics: Readonly<Record<string, { value: number; error: number; interval: Interval | null }>>;
  /** What guessing scores in acc, where there are choices. */
  chance?: number;
}

export interface TextResults extends Conditions {
  kind: "text";
  /** As named, and a hash of all samples' ids in order. */
  texts: { name: string; hash: string };
  languages: readonly LanguageScore[];
  samples: readonly TextSample[];
}

export interface TaskResults extends Conditions {
  kind: "tasks";
  /** As named, and a hash of all samples' ids in order. */
  texts: { name: string; hash: string };
  tasks: readonly TaskScore[];
  samples: readonly TaskSample[];
}

export type Results = TextResults | TaskResults;

/** A sample's id: 32 hex digits of the SHA-256 of its parts. @param repeat how often the same came before */
export function idOf(parts: readonly string[], repeat = 0): string {
  const id = sha256(JSON.stringify(parts)).slice(0, 32);
  return repeat === 0 ? id : `${id}-${repeat}`;
}

/** A hash of samples in order. */
export function hashOf(samples: readonly { id: string }[]): string {
  return sha256(samples.map(({ id }) => id).join("\n"));
}

/** @throws LolaError "failed" when the disk refuses */
export async function saveResults(path: string, results: Results): Promise<void> {
  await saveFile(path, (output) => output.write(new TextEncoder().encode(`${JSON.stringify(results, null, 1)}\n`)));
}

/** @throws LolaError "usage" where there is no such file; DataError "results.format" where it is something else */
export function readResults(path: string): Results {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LolaError("usage", `cannot read ${path}: ${code}`, "a file that lola eval -o wrote", { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notResults(path, cause);
  }
  if (!isResults(value)) throw notResults(path);
  return value;
}

function notResults(path: string, cause?: unknown): DataError {
  const why = `${path}: not results of lola eval in format 1`;
  return new DataError("results.format", why, "a file that lola eval -o wrote", { cause });
}

/** Whoever changed a number by hand meets it again; what code relies on is looked at. */
function isResults(value: unknown): value is Results {
  if (!areConditions(value)) return false;
  const { kind, texts, samples, languages, tasks } = value as unknown as Record<string, unknown>;
  const scores = kind === "text" ? languages : kind === "tasks" ? tasks : undefined;
  const hash = (texts as { hash?: unknown } | undefined)?.hash;
  return Array.isArray(scores) && typeof hash === "string" && Array.isArray(samples) && samples.every(isSample);
}

/** Is this the head of results or of a journal? */
export function areConditions(value: unknown): value is Conditions {
  const { format, version, model, device, settings } = (value ?? {}) as Partial<Conditions>;
  const named = typeof model?.identity === "string" && typeof device?.kind === "string";
  return format === 1 && typeof version === "string" && named && typeof settings === "object" && settings !== null;
}

export function isSample(value: unknown): value is Sample {
  const { kind, id, task, metrics, language, bytes, tokens, bits, parts } = (value ?? {}) as Record<string, unknown>;
  if (typeof id !== "string") return false;
  if (kind === "task") return typeof task === "string" && numbers(metrics);
  return kind === "text" && typeof language === "string" && numbers({ bytes, tokens, bits }) && Array.isArray(parts);
}

function numbers(record: unknown): boolean {
  return typeof record === "object" && record !== null && Object.values(record).every((one) => typeof one === "number");
}
