/** Bits per byte of held-out text, by language: a measure that does not depend on the tokenizer. */
import { ignored } from "../../kernels/loss/cross_entropy_backward.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ValidationWindow } from "../data/validation.ts";
import type { TrainingEngine } from "./engine.ts";
import type { ValidationEvent } from "./events.ts";

/** A row to measure on, of one language. */
export interface ValidationRow {
  /** [T] */
  inputs: Uint32Array;
  /** [T] `ignored` where nothing counts. */
  targets: Uint32Array;
  language: number;
  /** UTF-8 bytes of the targets that count. */
  bytes: number;
}

export type Validation = Omit<ValidationEvent, "event" | "step" | "tokens">;

/**
 * Measures all rows, as many at a time as the engine takes; the last batch is filled up with some again, uncounted.
 * @param names [languages]
 * @param stopped asked between batches
 * @param kept languages that do not count in the sum
 * @returns undefined if it was stopped
 */
export async function validate(
  engine: TrainingEngine,
  rows: readonly ValidationRow[],
  names: readonly string[],
  stopped: () => boolean,
  kept: ReadonlySet<string> = new Set(),
): Promise<Validation | undefined> {
  const { batch, time } = engine.buffers.shape;
  const { experts } = engine.config;
  const bits = new Float64Array(names.length);
  const bytes = new Float64Array(names.length);
  const load = moeLayers(engine.config).map(() => new Float64Array(experts));
  const batches = Math.ceil(rows.length / batch);
  for (let i = 0; i < batches; i++) {
    if (stopped()) return undefined;
    const inputs = new Uint32Array(batch * time);
    const targets = new Uint32Array(batch * time).fill(ignored);
    const some = Array.from({ length: batch }, (_, b) => rows[(i * batch + b) % rows.length]!);
    const counted = Math.min(batch, rows.length - i * batch);
    for (const [b, row] of some.entries()) {
      inputs.set(row.inputs, b * time);
      if (b < counted) targets.set(row.targets, b * time);
    }
    const { nll, balance } = await engine.evaluate({ inputs, targets });
    for (const [b, { language, bytes: text }] of some.slice(0, counted).entries()) {
      bytes[language]! += text;
      for (const nats of nll.subarray(b * time, (b + 1) * time)) bits[language]! += nats / Math.LN2;
    }
    for (const [layer, shares] of load.entries())
      for (let e = 0; e < experts; e++) shares[e]! += balance[(2 * layer + 1) * experts + e]! / batches;
  }
  const sum = (values: Float64Array) => values.reduce((a, b, i) => (kept.has(names[i]!) ? a : a + b), 0);
  const measured = names.map((name, i) => [name, bits[i]! / bytes[i]!] as const).filter((_, i) => bytes[i]! > 0);
  return {
    bitsPerByte: sum(bits) / sum(bytes),
    languages: Object.fromEntries(measured),
    load: load.map((shares) => Array.from(shares, (share) => Math.round(share * 1000) / 1000)),
  };
}

/** A window of held-out text as a row. */
export function windowRow({ tokens, targets: real, language, bytes }: ValidationWindow): ValidationRow {
  const targets = new Uint32Array(tokens.length - 1).fill(ignored);
  targets.set(tokens.subarray(1, 1 + real));
  return { inputs: tokens.subarray(0, -1), targets, language, bytes };
}
