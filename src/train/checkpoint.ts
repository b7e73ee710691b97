/**
 * The state of a run in one file, `checkpoints/last.lola`: weights, both moments, step, place in the data, length of the metrics.
 *
 * One file, because one rename is one truth: a save appears whole or not at all, and whatever else the run folder holds is
 * brought back to what this file says. The metrics are synced before it appears and cut to its length when it is opened; the
 * best weights are a copy that is saved before it, and saved again, the same bytes, by the steps that a killed run repeats.
 *
 * It is a container (FORMAT.md) of the kind "checkpoint": a model, usable as such, with more in it.
 */
import { saveFile } from "../base/atomic.ts";
import { DataError } from "../base/errors.ts";
import { fileBytes } from "../checkpoint/bytes.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { openContainer, writeContainer } from "../checkpoint/container.ts";
import { asCount, asHex, asList, asMap } from "../checkpoint/fields.ts";
import { checkTensors, expectedTensors } from "../checkpoint/layout.ts";
import { checkpointKind, momentPrefixes, openLola } from "../checkpoint/lola-file.ts";
import type { Provenance } from "../checkpoint/source.ts";
import type { TensorStream } from "../checkpoint/tensor.ts";
import type { Cursor } from "../data/batches.ts";
import type { WeightSource } from "../model/weights.ts";
import type { TrainingEngine } from "./engine.ts";
import type { LossScaling } from "./loss-scale.ts";

/** What a run knows besides its tensors. */
export interface RunState<C = Cursor> {
  /** Steps done, and the one that validation last followed. */
  step: number;
  validated: number;
  /** Steps left out since their gradient was not finite: in all, and how many of the last ones in a row. */
  skipped: number;
  bad: number;
  /** Only with products in f16. */
  scaling?: LossScaling;
  /** Lowest bits per byte of a validation. */
  best: number | undefined;
  /** Validations since then; only where a run ends early. */
  worse?: number;
  cursor: C;
  /** Bytes of `metrics.jsonl`. */
  metrics: number;
  /** Fingerprint of the tokens that the cursor counts in. */
  data: string;
}

/** What a checkpoint is made from, besides the engine's tensors. */
export interface CheckpointContents {
  /** TokenizerData as `src/tokenizer` defines it. */
  tokenizer: unknown;
  provenance: Provenance;
  state: RunState;
}

/** A checkpoint that is open for reading. */
export interface Checkpoint {
  config: ModelConfig;
  tokenizer: unknown;
  state: RunState;
  weights: WeightSource;
  m: WeightSource;
  v: WeightSource;
  close(): void;
}

/**
 * Saves the state of a run, whole or not at all. Same state, same bytes.
 * @throws LolaError "failed" when the disk refuses
 */
export async function saveCheckpoint(
  path: string,
  engine: TrainingEngine,
  { tokenizer, provenance, state }: CheckpointContents,
): Promise<void> {
  const meta = { config: engine.config, provenance, tokenizer, training: state };
  await saveFile(path, async (output) => {
    await writeContainer(output, checkpointKind, meta, allTensors(engine), { store: "raw" });
  });
}

async function* allTensors(engine: TrainingEngine): AsyncGenerator<TensorStream> {
  yield* engine.stored("weights");
  for (const moment of ["m", "v"] as const)
    for await (const tensor of engine.stored(moment)) yield { ...tensor, name: `${moment}.${tensor.name}` };
}

/**
 * Opens a checkpoint; nothing but its header is read, and every rule of FORMAT.md checked.
 * @throws DataError "header.kind" for a plain model, "checkpoint.…" where the state is none
 */
export function openCheckpoint(path: string): Checkpoint {
  const model = openLola(fileBytes(path));
  const { config, tokenizer } = model;
  model.close();
  const container = openContainer(fileBytes(path));
  try {
    if (container.kind !== checkpointKind)
      throw new DataError("header.kind", `${path} is a model, not the state of a run`, "lola train --resume RUN");
    const part = (prefix: string) => {
      const tensors = new Map(
        Array.from(expectedTensors(config).keys(), (name) => [name, container.tensors.get(prefix + name)!]),
      );
      return { tensors, read: (name: string) => container.read(prefix + name) };
    };
    for (const prefix of momentPrefixes) {
      const moments = [...container.tensors].filter(([name]) => name.startsWith(prefix));
      checkTensors(config, new Map(moments.map(([name, tensor]) => [name.slice(prefix.length), tensor])), path);
    }
    const odd = [...container.tensors.values()].find(({ type }) => type !== "f32");
    if (odd) throw new DataError("checkpoint.type", `${path}: ${odd.name} is ${odd.type}, not f32`);
    const state = readState((container.meta as Record<string, unknown>).training, readCursor);
    const [weights, m, v] = [part(""), part("m."), part("v.")];
    return { config, tokenizer, state, weights, m, v, close: () => container.close() };
  } catch (error) {
    container.close();
    throw error;
  }
}

/**
 * What a run's file says it knew, checked.
 * @throws DataError "checkpoint.…"
 */
export function readState<C>(value: unknown, cursorOf: (value: unknown) => C): RunState<C> {
  const known = ["best", "scaling", "worse"].filter((name) => Object.hasOwn(Object(value), name));
  const counts = ["bad", "metrics", "skipped", "step", "validated"] as const;
  const { best, cursor, data, scaling, worse, ...rest } = asMap(value, "training", [
    ...counts,
    "cursor",
    "data",
    ...known,
  ]);
  const [bad, metrics, skipped, step, validated] = counts.map((name) => asCount(rest[name], name)) as [
    ...[number, number, number, number, number],
  ];
  if (best !== undefined && !(typeof best === "number" && best > 0))
    throw new DataError("checkpoint.best", `training: best is ${best}`);
  return {
    ...{ bad, metrics, skipped, step, validated, best },
    ...(scaling !== undefined && { scaling: readScaling(scaling) }),
    ...(worse !== undefined && { worse: asCount(worse, "worse") }),
    data: asHex(data, 64, "training data"),
    cursor: cursorOf(cursor),
  };
}

function readCursor(value: unknown): Cursor {
  const { rows, windows } = asMap(value, "cursor", ["rows", "windows"]);
  const taken = asList(windows, "cursor windows").map((count) => asCount(count, "cursor windows"));
  return { rows: asCount(rows, "cursor rows"), windows: taken };
}

function readScaling(value: unknown): LossScaling {
  const { scale, patience, clean } = asMap(value, "scaling", ["scale", "patience", "clean"]);
  const counts = { patience: asCount(patience, "patience"), clean: asCount(clean, "clean") };
  if (typeof scale === "number" && scale >= 1 && Number.isInteger(Math.log2(scale))) return { scale, ...counts };
  throw new DataError("checkpoint.scaling", `scaling: scale is ${scale}, no power of two from 1 on`);
}
