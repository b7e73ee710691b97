/** Bits per byte of held-out text, by language: a measure that does not depend on the tokenizer. */
import { ignored } from "../../kernels/loss/cross_entropy_backward.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ValidationWindow } from "../data/validation.ts";
import type { TrainingEngine } from "./engine.ts";
import type { ValidationEvent } from "./events.ts";

export type Validation = Pick<ValidationEvent, "bitsPerByte" | "languages" | "load">;

/**
 * Measures all windows, as many at a time as the engine takes; the last batch is filled up with some again, uncounted.
 * @param names [languages]
 * @param stopped asked between batches
 * @returns undefined if it was stopped
 */
export async function validate(
  engine: TrainingEngine,
  windows: readonly ValidationWindow[],
  names: readonly string[],
  stopped: () => boolean,
): Promise<Validation | undefined> {
  const { batch, time } = engine.buffers.shape;
  const { experts } = engine.config;
  const bits = new Float64Array(names.length);
  const bytes = new Float64Array(names.length);
  const load = moeLayers(engine.config).map(() => new Float64Array(experts));
  const batches = Math.ceil(windows.length / batch);
  for (let i = 0; i < batches; i++) {
    if (stopped()) return undefined;
    const inputs = new Uint32Array(batch * time);
    const targets = new Uint32Array(batch * time).fill(ignored);
    const rows = Array.from({ length: batch }, (_, b) => windows[(i * batch + b) % windows.length]!);
    const counted = Math.min(batch, windows.length - i * batch);
    for (const [b, { tokens, targets: real }] of rows.entries()) {
      inputs.set(tokens.subarray(0, time), b * time);
      if (b < counted) targets.set(tokens.subarray(1, 1 + real), b * time);
    }
    const { nll, balance } = await engine.evaluate({ inputs, targets });
    for (const [b, { language, bytes: text }] of rows.slice(0, counted).entries()) {
      bytes[language]! += text;
      for (const nats of nll.subarray(b * time, (b + 1) * time)) bits[language]! += nats / Math.LN2;
    }
    for (const [layer, shares] of load.entries())
      for (let e = 0; e < experts; e++) shares[e]! += balance[(2 * layer + 1) * experts + e]! / batches;
  }
  const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
  const measured = names.map((name, i) => [name, bits[i]! / bytes[i]!] as const).filter((_, i) => bytes[i]! > 0);
  return {
    bitsPerByte: sum(bits) / sum(bytes),
    languages: Object.fromEntries(measured),
    load: load.map((shares) => Array.from(shares, (share) => Math.round(share * 1000) / 1000)),
  };
}
