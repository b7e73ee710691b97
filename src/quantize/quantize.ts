/** Quantizing: any model that can be read becomes one `.lola` file with fewer bits a weight, tensor by tensor. */
import { statSync } from "node:fs";
import type { Accept } from "../base/atomic.ts";
import type { Disk } from "../base/disk.ts";
import { DataError } from "../base/errors.ts";
import { type FloatType, fromFloats, toFloats } from "../base/float.ts";
import { isQuantType, type QuantType } from "../base/quant.ts";
import type { WriteOptions } from "../checkpoint/container.ts";
import { FloatReader } from "../checkpoint/floats.ts";
import { type ModelMeta, saveLola } from "../checkpoint/lola-file.ts";
import type { RoutingProfile } from "../checkpoint/profile.ts";
import { quantMatrix, type WeightKind, weightKind, weightKinds } from "../checkpoint/quantized.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { TensorInfo, TensorStream, TensorType } from "../checkpoint/tensor.ts";
import { type Device, elements } from "../device/device.ts";
import { MatrixQuantizer, type MatrixShape, type SquaredError } from "./matrix.ts";
import { metaOf, type Plan } from "./plan.ts";

export interface QuantizeOptions extends WriteOptions {
  /** Of each input of a matrix, by the tensor's name: [inner], ≥ 0; from calibration. Where there is none, all inputs count alike. */
  importance?: ReadonlyMap<string, Float32Array>;
  /** XᵀX of a matrix's inputs, by the tensor's name: [inner, inner]; from calibration. Where they are, errors are compensated. */
  moments?: ReadonlyMap<string, Float32Array>;
  /** From calibration as well; without it the model keeps its own. */
  routing?: RoutingProfile;
  /** All but the weights of the new file; default: `metaOf`. */
  meta?: ModelMeta;
  /** Called with the bytes of the source that are done, and all of them. */
  progress?: (done: number, all: number) => void;
  signal?: AbortSignal;
  disk?: Disk;
  /** Looks at the whole file before it appears; what it throws ends the save. */
  accept?: Accept;
}

/** What its new type cost one matrix. */
export interface MatrixCost {
  name: string;
  kind: WeightKind;
  from: TensorType;
  to: TensorType;
  /** Bytes of content. */
  before: number;
  after: number;
  /** Σ (new − old)² / Σ old²; 0 where the type stayed. */
  nmse: number;
}

export interface KindCost {
  tensors: number;
  before: number;
  after: number;
  /** Of those tensors whose type changed, together. */
  nmse: number;
}

export interface QuantizeReport {
  identity: string;
  /** Bytes of the new file; of all tensors before and after, unpacked. */
  fileBytes: number;
  before: number;
  after: number;
  /** Kinds that the model has. */
  kinds: Partial<Record<WeightKind, KindCost>>;
  matrices: MatrixCost[];
  /** The matrix that lost most. */
  worst: MatrixCost | undefined;
}

interface Measured extends MatrixCost {
  sums: SquaredError;
}

/**
 * Writes a model with the types of `plan`, whole or not at all; same model, plan and importance, same bytes on the same device.
 * Holds a slab of 64 MiB and its words on the device, and one matrix's words besides.
 * @throws DataError "weights.finite" for NaN and infinities, "weights.overflow" for what f16 cannot hold; DOMException AbortError after
 *   `signal`; whatever reading or saving throws
 */
export async function quantizeModel(
  device: Device,
  source: ModelSource,
  path: string,
  plan: Plan,
  options: QuantizeOptions = {},
): Promise<QuantizeReport> {
  const measured: Measured[] = [];
  const changing = plan.filter((tensor): tensor is TensorInfo & { type: QuantType } => {
    return isQuantType(tensor.type) && source.tensors.get(tensor.name)!.type !== tensor.type;
  });
  const quantizer = new MatrixQuantizer(device, changing);
  try {
    const tensors = streams(quantizer, source, plan, measured, options);
    const meta = options.meta ?? metaOf(source, plan, options.routing);
    const identity = await saveLola(path, { ...meta, tensors }, options);
    return { identity, fileBytes: statSync(path).size, ...summary(source, plan, measured) };
  } finally {
    quantizer.close();
  }
}

async function* streams(
  quantizer: MatrixQuantizer,
  source: ModelSource,
  plan: Plan,
  measured: Measured[],
  { importance, moments, progress, signal }: QuantizeOptions,
): AsyncGenerator<TensorStream> {
  const floats = new FloatReader(source);
  const all = sum(plan, ({ name }) => source.tensors.get(name)!.bytes);
  let done = 0;
  for (const { name, type: to, shape, bytes: after } of plan) {
    signal?.throwIfAborted();
    const { type: from, bytes: before } = source.tensors.get(name)!;
    const kind = weightKind(name);
    const sums = { error: 0, energy: 0 };
    const count = elements(shape);
    const onward = (some: number) => progress?.(done + (before * some) / count, all);
    const stream = (pieces: TensorStream["pieces"]) => ({ name, type: to, shape, pieces });
    if (from === to) yield stream(source.read(name));
    else if (isQuantType(to)) {
      const matrix: MatrixShape = { name, type: to, shape };
      const weights = importanceOf(matrix, importance);
      const known = moments?.get(name);
      const pieces = floats.read(name);
      yield stream(
        known
          ? quantizer.compensate(matrix, pieces, weights, known, sums, onward, signal)
          : quantizer.quantize(matrix, pieces, weights, sums, onward, signal),
      );
    } else yield stream(converted(name, floats.read(name), to, sums));
    done += before;
    progress?.(done, all);
    if (kind) measured.push({ name, kind, from, to, before, after, nmse: nmse([sums]), sums });
  }
}

/** @throws RangeError for a length that is not the matrix's, or a value that is no weight: a bug of the caller */
function importanceOf({ name, shape }: MatrixShape, given: QuantizeOptions["importance"]): Float32Array {
  const { inner } = quantMatrix(name, shape);
  const values = given?.get(name) ?? new Float32Array(inner).fill(1);
  if (values.length !== inner || !values.every((value) => value >= 0 && Number.isFinite(value)))
    throw new RangeError(`${name}: importance of ${values.length} inputs for ${inner}, each to be 0 or more`);
  return values;
}

/** Weights in another float type. */
function* converted(
  name: string,
  pieces: Iterable<Float32Array>,
  to: FloatType,
  sums: SquaredError,
): Generator<Uint8Array> {
  for (const values of pieces) {
    const bytes = fromFloats(values, to);
    const stored = toFloats(bytes, to);
    for (let i = 0; i < values.length; i++) {
      const [old, now] = [values[i]!, stored[i]!];
      if (!Number.isFinite(now))
        throw new DataError("weights.overflow", `${name} has the weight ${old}, which ${to} cannot hold`);
      sums.error += (now - old) ** 2;
      sums.energy += old ** 2;
    }
    yield bytes;
  }
}

function summary(source: ModelSource, plan: Plan, measured: readonly Measured[]) {
  const kinds: QuantizeReport["kinds"] = {};
  for (const kind of weightKinds) {
    const some = measured.filter((matrix) => matrix.kind === kind);
    if (some.length === 0) continue;
    kinds[kind] = {
      tensors: some.length,
      before: sum(some, ({ before }) => before),
      after: sum(some, ({ after }) => after),
      nmse: nmse(some.map(({ sums }) => sums)),
    };
  }
  const matrices = measured.map(({ sums, ...cost }): MatrixCost => cost);
  return {
    before: sum(plan, ({ name }) => source.tensors.get(name)!.bytes),
    after: sum(plan, ({ bytes }) => bytes),
    kinds,
    matrices,
    worst: matrices.toSorted((a, b) => b.nmse - a.nmse)[0],
  };
}

function nmse(sums: readonly SquaredError[]): number {
  const error = sum(sums, (part) => part.error);
  return error === 0 ? 0 : error / sum(sums, (part) => part.energy);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
