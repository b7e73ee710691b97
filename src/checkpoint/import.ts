/** Import: any model that can be read becomes one `.lola` file, streamed, with its element type kept or changed under watch. */
import { statSync } from "node:fs";
import type { Disk } from "../base/disk.ts";
import { DataError } from "../base/errors.ts";
import { type FloatType, fromFloats, toFloats } from "../base/float.ts";
import { isQuantType } from "../base/quant.ts";
import { version } from "../base/version.ts";
import type { WriteOptions } from "./container.ts";
import { FloatReader } from "./floats.ts";
import { inOrder } from "./layout.ts";
import { saveLola } from "./lola-file.ts";
import type { ModelSource } from "./source.ts";
import { type TensorStream, type TensorType, tensorBytes } from "./tensor.ts";

export interface ImportOptions extends WriteOptions {
  /** Element type of the result; default: each tensor keeps its own. Quantized ones become what their codes say. */
  type?: FloatType;
  /** Called before each tensor is read. */
  progress?: (name: string, bytes: number) => void;
  disk?: Disk;
}

/** What changing the element type cost one tensor. */
export interface TensorLoss {
  name: string;
  from: TensorType;
  to: FloatType;
  elements: number;
  /** Elements whose value changed. */
  inexact: number;
  /** Largest |new − old| / |old| among them. */
  largestRelative: number;
}

export interface ImportReport {
  identity: string;
  /** Bytes of the new file; of the tensors as they were; of the tensors as they are, unpacked. */
  fileBytes: number;
  sourceBytes: number;
  unpackedBytes: number;
  /** Tensors that changed in value; empty if all are exact. */
  losses: TensorLoss[];
  /** Tensors whose element type changed. */
  converted: number;
  notes: string[];
}

/**
 * Writes a model to `path`; needs memory for a few chunks, whatever the model's size.
 * @throws DataError "import.overflow" if a finite weight is too large for the type asked for, and whatever reading or saving throws
 */
export async function importModel(
  source: ModelSource,
  path: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const losses: TensorLoss[] = [];
  const conversion = new Conversion();
  const floats = new FloatReader(source);
  let converted = 0;
  let [sourceBytes, unpackedBytes] = [0, 0];
  function* tensors(): Generator<TensorStream> {
    // The same order whatever the source is split into, so that the same model gives the same file.
    for (const tensor of inOrder(source)) {
      options.progress?.(tensor.name, tensor.bytes);
      const { name, type: from, shape } = tensor;
      const to = options.type ?? from;
      sourceBytes += tensor.bytes;
      unpackedBytes += tensorBytes(name, to, shape);
      if (isQuantType(to) || to === from) {
        yield { name, type: to, shape, pieces: source.read(name) };
        continue;
      }
      const loss = { name, from, to, elements: 0, inexact: 0, largestRelative: 0 };
      yield { name, type: to, shape, pieces: conversion.convert(floats.read(name), loss) };
      converted++;
      if (loss.inexact > 0) losses.push(loss);
    }
  }
  const identity = await saveLola(
    path,
    {
      config: source.config,
      tokenizer: source.tokenizer,
      provenance: {
        made: "import",
        from: source.provenance.from,
        version,
        notes: [...source.provenance.notes, ...source.notes, ...(options.type ? [`weights as ${options.type}`] : [])],
      },
      ...(source.routing && { routing: source.routing }),
      ...(source.template !== undefined && { template: source.template }),
      tensors: tensors(),
    },
    options,
  );
  const fileBytes = statSync(path).size;
  return { identity, fileBytes, sourceBytes, unpackedBytes, losses, converted, notes: [...source.notes] };
}

/** Changes element types under watch, in buffers that are kept from piece to piece. */
class Conversion {
  private narrow = new Uint16Array(0);
  private after = new Float32Array(0);

  /** Pieces of one tensor in another element type, each valid until the next; what changed in value is counted in `loss`. */
  *convert(pieces: Iterable<Float32Array>, loss: TensorLoss): Generator<Uint8Array> {
    for (const values of pieces) {
      if (this.narrow.length < values.length) {
        this.narrow = new Uint16Array(values.length);
        this.after = new Float32Array(values.length);
      }
      const bytes = fromFloats(values, loss.to, this.narrow);
      if (loss.to !== "f32") count(values, toFloats(bytes, loss.to, this.after), loss);
      yield bytes;
    }
  }
}

function count(before: Float32Array, after: Float32Array, loss: TensorLoss): void {
  let { inexact, largestRelative } = loss;
  for (let i = 0; i < before.length; i++) {
    const x = before[i]!;
    const y = after[i]!;
    if (x === y || Number.isNaN(x)) continue;
    if (!Number.isFinite(y)) {
      throw new DataError(
        "import.overflow",
        `${loss.name}: element ${loss.elements + i} is ${x}, too large for ${loss.to}`,
        "--dtype f32 or --dtype bf16",
      );
    }
    inexact++;
    largestRelative = Math.max(largestRelative, Math.abs(y - x) / Math.abs(x));
  }
  Object.assign(loss, { inexact, largestRelative, elements: loss.elements + before.length });
}
