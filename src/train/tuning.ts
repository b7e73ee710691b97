/**
 * The state of a run that trains a part of a model: what is trained, both moments and what the run knows besides, in one
 * container of the kind "tuning" (FORMAT.md). The base is not stored again, but named by its identity. And what a model is
 * once its trained tensors take the place of its own.
 */
import { saveFile } from "../base/atomic.ts";
import { DataError } from "../base/errors.ts";
import { fromFloats, toFloats } from "../base/float.ts";
import { isQuantType } from "../base/quant.ts";
import { type AdapterConfig, adapterTensors, validateAdapter } from "../checkpoint/adapter.ts";
import { type AdapterBase, readBase } from "../checkpoint/adapter-file.ts";
import { fileBytes } from "../checkpoint/bytes.ts";
import { openContainer, writeContainer } from "../checkpoint/container.ts";
import { asMap } from "../checkpoint/fields.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import { momentPrefixes, readProvenance } from "../checkpoint/lola-file.ts";
import type { Plain } from "../checkpoint/msgpack.ts";
import type { ModelSource, Provenance } from "../checkpoint/source.ts";
import type { TensorInfo, TensorStream } from "../checkpoint/tensor.ts";
import type { WeightSource } from "../model/weights.ts";
import type { TrainingEngine } from "./engine.ts";

const tuningKind = "tuning";

/** What such a file holds besides tensors. */
export interface TuningMeta {
  base: AdapterBase;
  /** Where adapters are trained; else tensors of the model itself are. */
  adapter?: AdapterConfig;
  provenance: Provenance;
  /** What the run knows besides, checked by who wrote it. */
  training: object;
  /** How conversations are written for it. */
  template?: Plain;
}

/** One that is open for reading. */
export interface Tuning extends TuningMeta {
  weights: WeightSource;
  m: WeightSource;
  v: WeightSource;
  close(): void;
}

/**
 * Saves the state of a run, whole or not at all. Same state, same bytes.
 * @throws LolaError "failed" when the disk refuses
 */
export async function saveTuning(path: string, engine: TrainingEngine, meta: TuningMeta): Promise<void> {
  await saveFile(path, async (output) => {
    await writeContainer(output, tuningKind, meta, allTensors(engine), { store: "raw" });
  });
}

async function* allTensors(engine: TrainingEngine): AsyncGenerator<TensorStream> {
  yield* engine.stored("weights");
  for (const moment of ["m", "v"] as const)
    for await (const tensor of engine.stored(moment)) yield { ...tensor, name: `${moment}.${tensor.name}` };
}

/**
 * Opens the state of a run; nothing but its header is read.
 * @throws DataError "header.kind" for another file, "tuning.tensor" for tensors that are not all and only those of its kind
 */
export function openTuning(path: string): Tuning {
  const container = openContainer(fileBytes(path));
  try {
    if (container.kind !== tuningKind)
      throw new DataError("header.kind", `${path} holds ${JSON.stringify(container.kind)}, not a run of lola finetune`);
    const meta = asMap(container.meta, "meta", ["base", "provenance", "training"], ["adapter", "template"]);
    const base = readBase(meta.base);
    const adapter = meta.adapter === undefined ? undefined : validateAdapter(meta.adapter, base.config);
    const shapes = adapter ? adapterTensors(base.config, adapter) : expectedTensors(base.config);
    const isMoment = (name: string) => momentPrefixes.some((prefix) => name.startsWith(prefix));
    const names = adapter ? [...shapes.keys()] : [...container.tensors.keys()].filter((name) => !isMoment(name));
    const prefixes = ["", ...momentPrefixes];
    for (const name of names)
      for (const prefix of prefixes)
        checkTensor(path, prefix + name, shapes.get(name), container.tensors.get(prefix + name));
    if (names.length === 0 || container.tensors.size !== prefixes.length * names.length)
      throw new DataError(
        "tuning.tensor",
        `${path}: ${container.tensors.size} tensors, ${names.length} of them trained`,
      );
    const part = (prefix: string): WeightSource => ({
      tensors: new Map(names.map((name) => [name, container.tensors.get(prefix + name)!])),
      read: (name) => container.read(prefix + name),
    });
    return {
      base,
      ...(adapter && { adapter }),
      provenance: readProvenance(meta.provenance),
      training: Object(meta.training),
      ...(meta.template !== undefined && { template: meta.template as Plain }),
      ...{ weights: part(""), m: part("m."), v: part("v.") },
      close: () => container.close(),
    };
  } catch (error) {
    container.close();
    throw error;
  }
}

function checkTensor(path: string, name: string, shape: number[] | undefined, found: TensorInfo | undefined): void {
  if (shape && found?.type === "f32" && found.shape.join() === shape.join()) return;
  const wanted = shape ? `f32 [${shape.join(", ")}]` : "no such tensor";
  const is = found ? `${found.type} [${found.shape.join(", ")}]` : "missing";
  throw new DataError("tuning.tensor", `${path}: ${name} is ${is}, the model has ${wanted}`);
}

/**
 * A model's tensors with those that an engine trained in the place of its own, in the types of the base, f32 where that is
 * quantized: what `saveLola` writes.
 */
export async function* tunedTensors(base: ModelSource, engine: TrainingEngine): AsyncGenerator<TensorStream> {
  const trained = new Set<string>();
  for await (const tensor of engine.stored("weights")) {
    trained.add(tensor.name);
    const stored = base.tensors.get(tensor.name)!.type;
    if (isQuantType(stored) || stored === "f32") yield tensor;
    else yield { ...tensor, type: stored, pieces: narrowed(tensor.pieces, stored) };
  }
  for (const { name, type, shape } of base.tensors.values())
    if (!trained.has(name)) yield { name, type, shape, pieces: base.read(name) };
}

async function* narrowed(pieces: TensorStream["pieces"], type: "f16" | "bf16"): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield fromFloats(toFloats(piece, "f32"), type);
}
