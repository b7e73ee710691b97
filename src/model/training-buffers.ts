/** What training keeps on the device besides the parameters: activations for the way back, gradients on their way, scratch. */
import type { AdapterConfig } from "../checkpoint/adapter.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Device, Tensor } from "../device/device.ts";
import { type AdapterBuffers, createAdapterBuffers, createLow, type LowProducts } from "./training-adapter.ts";
import { createFloatScratch, type FloatScratch } from "./training-floats.ts";
import type { LayerWeights, Weights } from "./weights.ts";

/** Sizes and options that shape the graph. */
export interface TrainingShape {
  /** Sequences of one micro-batch, B, and their tokens, T. */
  batch: number;
  time: number;
  /** Keep only each layer's input and compute the rest again on the way back. */
  recompute: boolean;
  /** Share of the hidden activations that is dropped; 0: none. */
  dropout: number;
  /** Rows that an expert takes, in shares of rows / experts, and at least how many; none: no row is ever dropped (spec §4). */
  capacity?: { factor: number; least: number; random: boolean };
  /** What is trained besides the model's own tensors, or in their place. */
  adapter?: AdapterConfig;
}

/** What one layer leaves for the way back. R = B · T rows. */
export interface LayerActivations {
  /** Residual stream between attention and the feed-forward, [R, C]. */
  mid: Tensor;
  /** Normalised inputs of attention and of the feed-forward, [R, C]. */
  y1: Tensor;
  y2: Tensor;
  /** [R, 3C] and [R, C]. */
  qkv: Tensor;
  attended: Tensor;
  /** Before GELU, [R, F]; in the order of the experts in MoE layers. */
  u: Tensor;
  /** MoE layers: [R, E]; u32 [R], u32 [E + 1]. */
  probs: Tensor;
  order: Tensor;
  start: Tensor;
  /** Of products with an adapter. */
  low: LowProducts;
}

export interface TrainingBuffers {
  shape: TrainingShape;
  rows: number;
  /** u32 [R]: inputs, targets (≥ V: not counted), rows sorted by (token, row); sequence and position of each row. */
  token: Tensor;
  target: Tensor;
  sorted: Tensor;
  seq: Tensor;
  pos: Tensor;
  /** Residual stream before each layer and after the last, [R, C] each. */
  x: Tensor[];
  /** One for each layer, or one that all share when recomputing. */
  layers: LayerActivations[];
  /** u32 and f32 [MoE layers, R]: chosen expert, the same or E where the row is dropped, its probability. */
  expert: Tensor;
  kept: Tensor;
  prob: Tensor;
  /** [MoE layers, 2, E]: mean probability and share of rows of each expert. */
  balance: Tensor;
  /** Loss of each row, nats, [R]. */
  nll: Tensor;
  /** Logits of a block of rows, then their gradient, [block, V]. */
  logits: Tensor;
  /** Rows [at, at + rows) of `final` and of `dy`. */
  blocks: { at: number; rows: number; final: Tensor; dy: Tensor }[];
  /** Final normalised rows, [R, C]. */
  final: Tensor;
  /** After GELU, [R, F]. */
  h: Tensor;
  /** Gradients of the residual stream, of a normalised input, of q‖k‖v, before GELU. */
  dx: Tensor;
  dy: Tensor;
  dqkv: Tensor;
  du: Tensor;
  /** Rows in expert order and their gradient, [R, C]. */
  gathered: Tensor;
  dgathered: Tensor;
  /** [R, E], [R]. */
  dlogits: Tensor;
  dprob: Tensor;
  /** [R, 2], [R, H, 2]. */
  stats: Tensor;
  softmax: Tensor;
  /** A branch before dropout, [R, C], and zeros; only with dropout. */
  branch?: Tensor;
  zero?: Tensor;
  /** Weights that are quantized, as floats. */
  floats: FloatScratch;
  /** Only with adapters. */
  adapter?: AdapterBuffers;
}

/** Rows whose logits are kept at a time, of `rows`: 32 MiB of them, at least 32 rows. */
export function logitsRows(rows: number, vocabulary: number): number {
  return Math.min(rows, Math.max(32, Math.floor(2 ** 23 / vocabulary / 32) * 32));
}

/**
 * @param weights that the rows will pass, adapters attached
 * @throws LolaError "device" when the device has no room
 */
export function createTrainingBuffers(
  device: Device,
  config: ModelConfig,
  shape: TrainingShape,
  weights: Weights,
): TrainingBuffers {
  const { width, inner, experts, heads, layers, vocabulary } = config;
  const rows = shape.batch * shape.time;
  const floats = (label: string, ...of: number[]) => device.tensor({ label, shape: of, type: "f32" });
  const words = (label: string, ...of: number[]) => device.tensor({ label, shape: of, type: "u32" });
  const routed = Math.max(1, moeLayers(config).length);
  const block = logitsRows(rows, vocabulary);
  const seq = words("seq", rows);
  const pos = words("pos", rows);
  device.upload(seq, bytesOf(Uint32Array.from({ length: rows }, (_, t) => Math.floor(t / shape.time))));
  device.upload(pos, bytesOf(Uint32Array.from({ length: rows }, (_, t) => t % shape.time)));

  const layer = (of: readonly LayerWeights[]): LayerActivations => ({
    mid: floats("mid", rows, width),
    y1: floats("y1", rows, width),
    y2: floats("y2", rows, width),
    qkv: floats("qkv", rows, 3 * width),
    attended: floats("attended", rows, width),
    u: floats("u", rows, inner),
    probs: floats("probs", rows, experts),
    order: words("order", rows),
    start: words("start", experts + 1),
    low: createLow(device, rows, of),
  });
  const final = floats("final", rows, width);
  const dy = floats("dy", rows, width);
  const shared = shape.recompute ? layer(weights.layers) : undefined;
  return {
    shape,
    rows,
    token: words("token", rows),
    target: words("target", rows),
    sorted: words("sorted", rows),
    seq,
    pos,
    x: Array.from({ length: layers + 1 }, (_, i) => floats(`x.${i}`, rows, width)),
    layers: weights.layers.map((each) => shared ?? layer([each])),
    expert: words("expert", routed, rows),
    kept: words("kept", routed, rows),
    prob: floats("prob", routed, rows),
    balance: floats("balance", routed, 2, experts),
    nll: floats("nll", rows),
    logits: floats("logits", block, vocabulary),
    blocks: Array.from({ length: Math.ceil(rows / block) }, (_, i) => {
      const [at, size] = [i * block, Math.min(block, rows - i * block)];
      const view = (of: Tensor) => device.view(of, at * width, [size, width]);
      return { at, rows: size, final: view(final), dy: view(dy) };
    }),
    final,
    h: floats("h", rows, inner),
    dx: floats("dx", rows, width),
    dy,
    dqkv: floats("dqkv", rows, 3 * width),
    du: floats("du", rows, inner),
    gathered: floats("gathered", rows, width),
    dgathered: floats("dgathered", rows, width),
    dlogits: floats("dlogits", rows, experts),
    dprob: floats("dprob", rows),
    stats: floats("stats", rows, 2),
    softmax: floats("softmax", rows, heads, 2),
    ...(shape.dropout > 0 && { branch: floats("branch", rows, width), zero: floats("zero", rows, width) }),
    floats: createFloatScratch(device, config, weights),
    ...(shape.adapter && { adapter: createAdapterBuffers(device, config, shape.adapter, weights, rows, block) }),
  };
}

export function bytesOf(values: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
