/** Puts a model's weights on a device: which stored tensor goes where, in which type. */
import { type FloatType, floatBytes, fromFloats, toFloats } from "../base/float.ts";
import { isMoe, type ModelConfig } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { type Device, elements, type Tensor } from "../device/device.ts";

export interface Affine {
  /** [K, N], or [E, K, N] for experts. */
  w: Tensor;
  /** f32 [N], or [E, N]. */
  b: Tensor;
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
  wte: Tensor;
  /** [P, C]. */
  wpe: Tensor;
  layers: LayerWeights[];
  norm: Norm;
}

/** The part of a model source that holds weights. */
export type WeightSource = Pick<ModelSource, "tensors" | "read">;

/** A stored tensor's place: element `at` of a device tensor. */
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

/**
 * Allocates and fills every weight of a model.
 * Matrices and tables keep their stored type; biases, norms and gates become f32.
 * @throws LolaError "device" when the device has no room
 */
export function loadWeights(device: Device, config: ModelConfig, source: WeightSource): Weights {
  const { weights, places } = placeWeights(device, config, (name) => source.tensors.get(name)!.type);
  for (const place of places) fillWeight(device, source, place);
  return weights;
}

/**
 * Allocates every weight of a model, zeros.
 * @param typeOf the type of a stored tensor, by name
 * @throws LolaError "device" when the device has no room
 */
export function placeWeights(device: Device, config: ModelConfig, typeOf: (name: string) => FloatType): PlacedWeights {
  const { width, inner, experts, vocabulary, context } = config;
  const places: Placement[] = [];

  const place = (names: string[], target: Tensor) => {
    const each = elements(target.shape) / names.length;
    places.push(...names.map((name, i) => ({ name, target, at: i * each })));
    return target;
  };
  const vector = (names: string[], shape: number[]) =>
    place(names, device.tensor({ label: names[0]!, shape, type: "f32" }));
  const table = (name: string, shape: number[], split = false) =>
    place([name], device.tensor({ label: name, shape, type: typeOf(name), split }));
  const matrix = (names: string[], shape: number[]) =>
    place(
      names,
      device.tensor({
        label: names[0]!,
        shape,
        type: commonType(names.map(typeOf)),
        layout: "matrix",
        split: shape.length === 3,
      }),
    );
  const norm = (name: string): Norm => ({
    weight: vector([`${name}.weight`], [width]),
    bias: vector([`${name}.bias`], [width]),
  });
  const affine = (names: string[], inputs: number, outputs: number): Affine => {
    const stack = names.length > 1 || names[0]!.includes(".experts.") ? [names.length] : [];
    return {
      w: matrix(
        names.map((name) => `${name}.weight`),
        [...stack, inputs, outputs],
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
      up: affine(ff("c_fc"), width, inner),
      down: affine(ff("c_proj"), inner, width),
    };
  };

  const weights: Weights = {
    wte: table("wte.weight", [vocabulary, width], true),
    wpe: table("wpe.weight", [context, width]),
    layers: Array.from({ length: config.layers }, (_, i) => layer(i)),
    norm: norm("ln_f"),
  };
  return { weights, places };
}

/** The stored type where all agree, else f32, which holds them all. */
function commonType(types: FloatType[]): FloatType {
  return types.every((type) => type === types[0]) ? types[0]! : "f32";
}

/** Fills one stored tensor's place. */
export function fillWeight(device: Device, source: WeightSource, { name, target, at }: Placement): void {
  const stored = source.tensors.get(name)!.type;
  const type = target.type as FloatType;
  let offset = at * floatBytes[type];
  for (const piece of source.read(name)) {
    const bytes = stored === type ? piece : fromFloats(toFloats(piece, stored), type);
    device.upload(target, bytes, offset);
    offset += bytes.byteLength;
  }
}
