/** The LOLA forward pass as steps (spec §1.2), written once for every device. */
import { appendCompactForward } from "../../kernels/attention/append_compact_forward.ts";
import { appendForward } from "../../kernels/attention/append_forward.ts";
import { attentionCompactForward } from "../../kernels/attention/attention_compact_forward.ts";
import { attentionForward } from "../../kernels/attention/attention_forward.ts";
import { orderForward } from "../../kernels/moe/order_forward.ts";
import { routeForward } from "../../kernels/moe/route_forward.ts";
import { normForward } from "../../kernels/norm/norm_forward.ts";
import { sampleForward } from "../../kernels/sample/sample_forward.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Device, Step, Tensor } from "../device/device.ts";
import { adapterRank } from "./adapter.ts";
import {
  type AdapterScratch,
  adapterSteps,
  createAdapterScratch,
  downAdapterSteps,
  upAdapterSteps,
} from "./adapter-steps.ts";
import type { Cache } from "./cache.ts";
import {
  downRowSteps,
  downSteps,
  embedSteps,
  gelu,
  logitsSteps,
  product,
  type Scalar,
  upRowSteps,
  upSteps,
} from "./products.ts";
import type { LayerWeights, Norm, Weights } from "./weights.ts";

/** Below this many rows each row reads its own expert; from it on, rows are grouped by expert. */
const groupedRows = 5;

/** Rows on their way through the layers: inputs, the residual stream, scratch, and where the router sent them. */
export interface Activations {
  /** Rows that fit, R. */
  capacity: number;
  /** u32 [R]: token, sequence in the cache, position in the sequence. */
  token: Tensor;
  seq: Tensor;
  pos: Tensor;
  /** f32 [R, C]: the residual stream. */
  x: Tensor;
  /** Scratch, f32: normalised [R, C], q‖k‖v [R, 3C], attended [R, C], hidden [R, F]. */
  y: Tensor;
  qkv: Tensor;
  attended: Tensor;
  h: Tensor;
  /** u32 and f32 [MoE layers, R]: each row's expert and its probability. */
  expert: Tensor;
  prob: Tensor;
  /** u32 [MoE layers, R]: which matrices of the experts' are a row's: its expert's number, or that one's slot in a pool of P. */
  place: Tensor;
  places: number;
  /** Scratch, u32: [R], [P + 1]. */
  order: Tensor;
  start: Tensor;
  /** Where the model has adapters. */
  adapted?: AdapterScratch;
}

/** @param weights what the rows pass, where experts take turns or products have adapters */
export function createActivations(
  device: Device,
  config: ModelConfig,
  capacity: number,
  weights?: Weights,
): Activations {
  const { width, inner, experts } = config;
  const slots = weights?.pool?.slots;
  const rank = weights ? adapterRank(weights) : 0;
  const places = slots ?? experts;
  const routed = Math.max(1, moeLayers(config).length) * capacity;
  const floats = (label: string, ...shape: number[]) => device.tensor({ label, shape, type: "f32" });
  const words = (label: string, ...shape: number[]) => device.tensor({ label, shape, type: "u32" });
  const expert = words("expert", routed);
  return {
    capacity,
    token: words("token", capacity),
    seq: words("seq", capacity),
    pos: words("pos", capacity),
    x: floats("x", capacity, width),
    y: floats("y", capacity, width),
    qkv: floats("qkv", capacity, 3 * width),
    attended: floats("attended", capacity, width),
    h: floats("h", capacity, inner),
    expert,
    prob: floats("prob", routed),
    place: slots === undefined ? expert : words("slots of experts", routed),
    places,
    order: words("order", capacity),
    start: words("start", places + 1),
    ...(rank > 0 && { adapted: createAdapterScratch(device, capacity, rank, inner) }),
  };
}

/** Tokens in, residual stream out: embedding and all layers, for `rows` rows. */
export function body(config: ModelConfig, weights: Weights, cache: Cache, a: Activations, rows: Scalar): Step[] {
  if ((weights.pool === undefined) !== (a.place === a.expert))
    throw new Error("experts in a pool, or rows that ask for one");
  const low = a.adapted?.low;
  const layers = weights.layers.flatMap((layer, i) => [
    norm(config, layer.norm1, a.x, a.y, rows),
    product(layer.qkv, a.y, a.qkv, rows),
    ...adapterSteps(layer.qkv.adapters, a.y, a.qkv, low, rows),
    ...attentionSteps(config, cache, a, i, rows),
    product(layer.out, a.attended, a.x, rows, { add: 1 }),
    ...adapterSteps(layer.out.adapters, a.attended, a.x, low, rows),
    norm(config, layer.norm2, a.x, a.y, rows),
    ...(layer.gate ? experts(config, layer, a, (i - 1) / 2, rows) : dense(config, layer, a, rows)),
  ]);
  return [...embedSteps(config, weights, a, rows), ...layers];
}

/** Residual stream → logits [rows, V] of the rows from `skip` on. */
export function head(
  config: ModelConfig,
  weights: Weights,
  a: Activations,
  logits: Tensor,
  rows: Scalar,
  skip: Scalar,
): Step[] {
  return [
    norm(config, weights.norm, a.x, a.y, rows, skip),
    ...logitsSteps(config, weights, a.y, logits, rows),
    ...adapterSteps(weights.head, a.y, logits, a.adapted?.low, rows),
  ];
}

/** Where sampling reads and writes. */
export interface Draw {
  /** f32 [B, V]. */
  logits: Tensor;
  /** u32 [B, V]: 1 where the repetition penalty applies. */
  seen: Tensor;
  /** f32 [B]. */
  logprob: Tensor;
}

/** Logits → next token and position, into the inputs `next` of the following decode step. */
export function draw(config: ModelConfig, { logits, seen, logprob }: Draw, next: Activations, rows: Scalar): Step {
  return {
    kernel: sampleForward,
    bindings: { logits, seen, token: next.token, pos: next.pos, logprob },
    params: {
      rows,
      vocabulary: config.vocabulary,
      allowed: "allowed",
      top_k: "top_k",
      temperature: "temperature",
      top_p: "top_p",
      min_p: "min_p",
      penalty: "penalty",
      seed_low: "seed_low",
      seed_high: "seed_high",
      stream: "stream",
    },
  };
}

export function norm(
  config: ModelConfig,
  { weight, bias }: Norm,
  x: Tensor,
  y: Tensor,
  rows: Scalar,
  skip: Scalar = 0,
): Step {
  return {
    kernel: normForward,
    bindings: { x, weight, bias, y },
    params: { rows, width: config.width, skip, eps: config.normEpsilon },
  };
}

/** New rows' keys and values into the cache of a layer, then what they attend to. */
function attentionSteps(
  config: ModelConfig,
  cache: Cache,
  a: Pick<Activations, "qkv" | "seq" | "pos" | "attended">,
  layer: number,
  rows: Scalar,
): Step[] {
  const { k, v } = cache.layers[layer]!;
  const size = config.width / config.heads;
  const params = { rows, heads: config.heads, head_size: size, context: cache.context };
  const { qkv, seq, pos } = a;
  const scale = 1 / Math.sqrt(size);
  const { bits } = cache;
  if (bits)
    return [
      { kernel: appendCompactForward, bindings: { qkv, seq, pos, k, v }, params: { ...params, bits } },
      {
        kernel: attentionCompactForward,
        bindings: { qkv, seq, pos, k, v, y: a.attended },
        params: { ...params, bits, scale },
      },
    ];
  return [
    { kernel: appendForward, bindings: { qkv, seq, pos, k, v }, params },
    {
      kernel: attentionForward,
      bindings: { qkv, seq, pos, k, v, y: a.attended },
      params: { ...params, packed: 0, scale },
    },
  ];
}

function dense({ inner }: ModelConfig, { up, down }: LayerWeights, a: Activations, rows: Scalar): Step[] {
  const { y, h, x, adapted } = a;
  const first =
    up.adapters && adapted
      ? [
          product(up, y, adapted.u, rows),
          ...adapterSteps(up.adapters, y, adapted.u, adapted.low, rows),
          gelu(adapted.u, h, a.capacity * inner),
        ]
      : [product(up, y, h, rows, { gelu: 1 })];
  return [...first, product(down, h, x, rows, { add: 1 }), ...adapterSteps(down.adapters, h, x, adapted?.low, rows)];
}

/** Top-1 mixture: route, then the chosen expert's two matrices, its output scaled by the raw probability. */
function experts(config: ModelConfig, layer: LayerWeights, a: Activations, moeIndex: number, rows: Scalar): Step[] {
  const { width, experts: count } = config;
  const at = moeIndex * a.capacity;
  const { y, h, x, expert, prob, place, places, order, start } = a;
  const route: Step = {
    kernel: routeForward,
    bindings: { x: y, gate: layer.gate!, expert, prob },
    params: { rows, width, experts: count, at },
  };
  const adapted = layer.up.adapters || layer.down.adapters ? a.adapted : undefined;
  if (a.capacity < groupedRows && !adapted)
    return [
      route,
      ...upRowSteps(layer.up, { x: y, expert: place, h }, rows, at),
      ...downRowSteps(layer.down, { h, expert: place, prob, y: x }, rows, at),
    ];
  return [
    route,
    { kernel: orderForward, bindings: { expert: place, order, start }, params: { rows, experts: places, at } },
    ...(adapted
      ? [
          ...upSteps(layer.up, { x: y, order, start, h: adapted.u }, rows, 0),
          ...upAdapterSteps(layer.up.adapters, y, a, adapted, rows),
          gelu(adapted.u, h, a.capacity * config.inner),
        ]
      : upSteps(layer.up, { x: y, order, start, h }, rows, 1)),
    ...downSteps(layer.down, { h, order, start, prob, y: x }, rows, at),
    ...(adapted ? downAdapterSteps(layer.down.adapters, h, a, { prob, at, y: x }, adapted, rows) : []),
  ];
}
