/** Puts a model's weights on a device: which stored tensor goes where, in which type. */
import { type FloatType, fromFloats } from "../base/float.ts";
import { type Grouping, groupingOf, isQuantType, matrixWords, quantPanel } from "../base/quant.ts";
import { isMoe, type ModelConfig } from "../checkpoint/config.ts";
import { FloatReader } from "../checkpoint/floats.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { TensorType } from "../checkpoint/tensor.ts";
import {
  type Device,
  elements,
  type Mapped,
  type Part,
  storageBytes,
  type Tensor,
  type TensorSpec,
} from "../device/device.ts";
import type { ExpertPool } from "./offload-pool.ts";

/** A part of a matrix or table; quantized ones are u32 words. */
export interface MatrixPart extends Part {
  grouping?: Grouping;
}

/** [inner, cols]; or [E, inner, cols], whose parts hold whole experts. */
export interface Matrix {
  inner: number;
  cols: number;
  parts: readonly MatrixPart[];
}

export interface Affine {
  w: Matrix;
  /** f32 [N], or [E, N]. */
  b: Tensor;
  /** What is added to the product. */
  adapters?: readonly LowRank[];
}

/** (x · a) · b: two matrices [K, R] and [R, N], or some experts' of each, with biases of 0. */
export interface LowRank {
  a: Affine;
  b: Affine;
}

export interface Norm {
  /** f32 [C]. */
  weight: Tensor;
  bias: Tensor;
}

export interface LayerWeights {
  norm1: Norm;
  qkv: Affine;
  out: Affine;
  norm2: Norm;
  /** f32 [E, C]; present in MoE layers. */
  gate?: Tensor;
  up: Affine;
  down: Affine;
}

export interface Weights {
  /** [V, C]; may be split over several parts. */
  wte: { parts: readonly MatrixPart[] };
  /** [P, C]. */
  wpe: Tensor;
  layers: LayerWeights[];
  norm: Norm;
  /** What is added to the logits. */
  head?: readonly LowRank[];
  /** Where experts take turns on the device: its slots stand for them in every MoE layer. */
  pool?: ExpertPool;
}

/** The part of a model source that holds weights. */
export type WeightSource = Pick<ModelSource, "tensors" | "read" | "extent">;

/** A stored tensor's place: element `at` of a device tensor; word, where it is quantized. */
export interface Placement {
  name: string;
  target: Tensor;
  at: number;
}

/** Weights on a device, and which stored tensor lies where. */
export interface PlacedWeights {
  weights: Weights;
  places: readonly Placement[];
}

/** Makes the device tensor that holds these stored tensors, one after the other. */
export type Allocate = (spec: TensorSpec, names: readonly string[]) => Tensor;

/**
 * Allocates and fills every weight of a model; what lies in the file as the device wants it is mapped there, and checked like the rest.
 * Matrices and tables keep their stored type; biases, norms and gates become f32.
 * @param pool brings experts when they are wanted; else all are loaded
 * @throws LolaError "device" when the device has no room; DataError when the file is damaged
 */
export function loadWeights(device: Device, config: ModelConfig, source: WeightSource, pool?: ExpertPool): Weights {
  const files = new Map<Tensor, Mapped>();
  const allocate: Allocate = (spec, names) => {
    const mapped = mapWeights(device, source, spec, names);
    if (mapped) files.set(mapped.tensor, mapped);
    return mapped?.tensor ?? device.tensor(spec);
  };
  const typeOf = (name: string) => source.tensors.get(name)!.type;
  const { weights, places } = placeWeights(device, config, typeOf, pool, allocate);
  for (const place of places) {
    const mapped = files.get(place.target);
    if (mapped) checkWeight(source, place.name, mapped);
    else fillWeight(device, source, place);
  }
  return weights;
}

/** Stored tensors that lie in a file as `spec` wants them, one right after the other; undefined where they do not. */
export function mapWeights(
  device: Pick<Device, "map">,
  source: WeightSource,
  spec: TensorSpec,
  names: readonly string[],
): Mapped | undefined {
  const first = source.extent?.(names[0]!);
  if (!device.map || !first || spec.layout === "matrix") return undefined;
  let end = first.offset;
  for (const name of names) {
    const { type, bytes } = source.tensors.get(name)!;
    if (source.extent?.(name)?.offset !== end || !(type === spec.type || isQuantType(type))) return undefined;
    end += bytes;
  }
  return device.map(spec, first.file, first.offset);
}

/**
 * Allocates every weight of a model.
 * @param typeOf the type of a stored tensor, by name
 * @param pool has places for experts already; else each gets its own
 * @param allocate default: zeros on the device
 * @param apart experts for which it differs never share a tensor
 * @throws LolaError "device" when the device has no room
 */
export function placeWeights(
  device: Device,
  config: ModelConfig,
  typeOf: (name: string) => TensorType,
  pool?: ExpertPool,
  allocate: Allocate = (spec) => device.tensor(spec),
  apart: (name: string) => boolean = () => true,
): PlacedWeights {
  const { width, inner, experts, vocabulary, context } = config;
  const places: Placement[] = [];

  const place = (names: string[], spec: TensorSpec) => {
    const target = allocate(spec, names);
    const each = elements(target.shape) / names.length;
    places.push(...names.map((name, i) => ({ name, target, at: i * each })));
    return target;
  };
  const vector = (names: string[], shape: number[]) => place(names, { label: names[0]!, shape, type: "f32" });
  const table = (name: string, shape: number[], split = false) =>
    place([name], { label: name, shape, type: commonType([typeOf(name)]), split });
  const matrix = (names: string[], inner: number, cols: number): Matrix => {
    const stacked = names[0]!.includes(".experts.");
    const parts = runsOfType(names, typeOf, apart).flatMap(({ from, count, type }): readonly MatrixPart[] => {
      const some = names.slice(from, from + count);
      const label = some[0]!;
      if (!isQuantType(type)) {
        const shape = [...(stacked ? [count] : []), inner, cols];
        const spec = { label, shape, layout: "matrix", split: stacked } as const;
        return moved(place(some, { ...spec, type: commonType(some.map(typeOf)) }).parts, from);
      }
      const grouping = groupingOf(type);
      const shape = [count, matrixWords(grouping, inner, cols)];
      const { parts } = place(some, { label, shape, type: "u32", split: true });
      return moved(parts, from).map((part) => ({ ...part, grouping }));
    });
    return { inner, cols, parts };
  };
  const embedding = (name: string): Weights["wte"] => {
    const type = typeOf(name);
    if (!isQuantType(type)) return table(name, [vocabulary, width], true);
    const grouping = groupingOf(type);
    const shape = [Math.ceil(vocabulary / quantPanel), matrixWords(grouping, width, quantPanel)];
    const { parts } = place([name], { label: name, shape, type: "u32", split: true });
    const tokens = ({ tensor, first, count }: Part) => ({
      ...{ tensor, first: first * quantPanel, grouping },
      count: Math.min(count * quantPanel, vocabulary - first * quantPanel),
    });
    return { parts: parts.map(tokens) };
  };
  const norm = (name: string): Norm => ({
    weight: vector([`${name}.weight`], [width]),
    bias: vector([`${name}.bias`], [width]),
  });
  const affine = (names: string[], inputs: number, outputs: number): Affine => {
    const stack = names.length > 1 || names[0]!.includes(".experts.") ? [names.length] : [];
    return {
      w: matrix(
        names.map((name) => `${name}.weight`),
        inputs,
        outputs,
      ),
      b: vector(
        names.map((name) => `${name}.bias`),
        [...stack, outputs],
      ),
    };
  };

  const layer = (i: number): LayerWeights => {
    const at = `h.${i}`;
    const ff = (part: string) =>
      isMoe(i) ? Array.from({ length: experts }, (_, e) => `${at}.moe.experts.${e}.${part}`) : [`${at}.mlp.${part}`];
    return {
      norm1: norm(`${at}.ln_1`),
      qkv: affine([`${at}.attn.c_attn`], width, 3 * width),
      out: affine([`${at}.attn.c_proj`], width, width),
      norm2: norm(`${at}.ln_2`),
      ...(isMoe(i) && { gate: vector([`${at}.moe.gate.weight`], [experts, width]) }),
      up: pool && isMoe(i) ? pool.up : affine(ff("c_fc"), width, inner),
      down: pool && isMoe(i) ? pool.down : affine(ff("c_proj"), inner, width),
    };
  };

  const weights: Weights = {
    wte: embedding("wte.weight"),
    wpe: table("wpe.weight", [context, width]),
    layers: Array.from({ length: config.layers }, (_, i) => layer(i)),
    norm: norm("ln_f"),
    ...(pool && { pool }),
  };
  return { weights, places };
}

/** The stored type where all agree, else f32, which holds them all. */
function commonType(types: TensorType[]): FloatType {
  const [first] = types;
  return first && !isQuantType(first) && types.every((type) => type === first) ? first : "f32";
}

/** Neighbours that are kept as one tensor: all floats, or all of one quantized type, and of one side. */
function runsOfType(names: readonly string[], typeOf: (name: string) => TensorType, sideOf: (name: string) => boolean) {
  const runs: { from: number; count: number; type: TensorType; side: boolean }[] = [];
  for (const [i, name] of names.entries()) {
    const [type, side] = [typeOf(name), sideOf(name)];
    const last = runs.at(-1);
    const alike = last?.type === type || (last && !isQuantType(last.type) && !isQuantType(type));
    if (last && alike && last.side === side) last.count++;
    else runs.push({ from: i, count: 1, type, side });
  }
  return runs;
}

/** Parts of the experts from `from` on. */
function moved(parts: readonly Part[], from: number): Part[] {
  return parts.map(({ tensor, first, count }) => ({ tensor, first: first + from, count }));
}

/** Fills one stored tensor's place. */
export function fillWeight(device: Device, source: WeightSource, { name, target, at }: Placement): void {
  const stored = source.tensors.get(name)!.type;
  const { type } = target;
  let offset = at * storageBytes[type];
  const upload = (bytes: Uint8Array) => {
    device.upload(target, bytes, offset);
    offset += bytes.byteLength;
  };
  if (type === "u32" || stored === type) for (const piece of source.read(name)) upload(piece);
  else for (const values of new FloatReader(source).read(name)) upload(fromFloats(values, type));
}

/** Holds the memory of one stored tensor against its hashes. */
function checkWeight(source: WeightSource, name: string, { read }: Mapped): void {
  const pieces = source.read(name, read)[Symbol.iterator]();
  while (!pieces.next().done);
}
