/** The forward pass of training as steps: what `graph.ts` computes, with everything kept that the way back reads. */
import { dropoutForward } from "../../kernels/activation/dropout_forward.ts";
import { attentionForward } from "../../kernels/attention/attention_forward.ts";
import { crossEntropyBackward } from "../../kernels/loss/cross_entropy_backward.ts";
import { balanceForward } from "../../kernels/moe/balance_forward.ts";
import { dropForward } from "../../kernels/moe/drop_forward.ts";
import { gateForward } from "../../kernels/moe/gate_forward.ts";
import { orderForward } from "../../kernels/moe/order_forward.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Step, Tensor } from "../device/device.ts";
import { norm } from "./graph.ts";
import { downSteps, embedSteps, gelu, logitsSteps, product, upSteps } from "./products.ts";
import {
  adapterForward,
  adapterSite,
  copy,
  downAdapterForward,
  headAdapterForward,
  maskFinal,
  type Product,
  upAdapterForward,
} from "./training-adapter.ts";
import type { TrainingBuffers } from "./training-buffers.ts";
import { wholeTable, withFloats, withRows } from "./training-floats.ts";
import type { LayerWeights, Weights } from "./weights.ts";

/** Variables of the programs: seed of dropout and capacity, number of the micro-batch in the run. */
export const seeded = { seed_low: "seed_low", seed_high: "seed_high", stream: "stream" };

/** Tokens → residual stream after the last layer. */
export function forwardSteps(config: ModelConfig, weights: Weights, a: TrainingBuffers): Step[] {
  return [
    ...inputSteps(config, weights, a),
    ...weights.layers.flatMap((layer, i) => layerForward(config, layer, a, i)),
    norm(config, weights.norm, a.x[config.layers]!, a.final, a.rows),
  ];
}

/** Embedding, with dropout. */
function inputSteps(config: ModelConfig, weights: Weights, a: TrainingBuffers): Step[] {
  if (!a.branch) return embedSteps(config, weights, { ...a, x: a.x[0]! }, a.rows);
  return [...embedSteps(config, weights, { ...a, x: a.branch }, a.rows), dropout(config, a, 0, a.branch, a.x[0]!, 0)];
}

/** x[layer] → x[layer + 1]. */
export function layerForward(config: ModelConfig, layer: LayerWeights, a: TrainingBuffers, index: number): Step[] {
  const kept = a.layers[index]!;
  const { rows, branch } = a;
  const [from, to] = [a.x[index]!, a.x[index + 1]!];
  const { y1, y2, qkv, attended, mid, low } = kept;
  const site = (name: Product) => adapterSite(config, index, name);
  const outSteps = (to: Tensor, then: { add?: 1 }) => [
    ...withFloats(a.floats, layer.out, (floats) => [product(floats, attended, to, rows, then)]),
    ...adapterForward(layer.out, a, attended, to, low.out, site("out")),
  ];
  return [
    norm(config, layer.norm1, from, y1, rows),
    ...withFloats(a.floats, layer.qkv, (floats) => [product(floats, y1, qkv, rows)]),
    ...adapterForward(layer.qkv, a, y1, qkv, low.qkv, site("qkv")),
    attention(config, a, qkv, attended),
    copy(from, mid, rows * config.width),
    ...(branch
      ? [...outSteps(branch, {}), dropout(config, a, 1 + 2 * index, branch, mid, 1)]
      : outSteps(mid, { add: 1 })),
    norm(config, layer.norm2, mid, y2, rows),
    copy(mid, to, rows * config.width),
    ...(layer.gate ? experts(config, layer, a, index, to) : dense(config, layer, a, index, to)),
  ];
}

/** Each sequence over its own rows. */
function attention({ heads, width }: ModelConfig, a: TrainingBuffers, qkv: Tensor, attended: Tensor): Step {
  const { rows, seq, pos, shape } = a;
  const size = width / heads;
  return {
    kernel: attentionForward,
    bindings: { qkv, seq, pos, k: qkv, v: qkv, y: attended },
    params: { rows, heads, head_size: size, context: shape.time, packed: 1, scale: 1 / Math.sqrt(size) },
  };
}

function dense(config: ModelConfig, layer: LayerWeights, a: TrainingBuffers, index: number, to: Tensor): Step[] {
  const { u, y2, low } = a.layers[index]!;
  const site = (name: Product) => adapterSite(config, index, name);
  const downSteps = (to: Tensor, then: { add?: 1 }) => [
    ...withFloats(a.floats, layer.down, (floats) => [product(floats, a.h, to, a.rows, then)]),
    ...adapterForward(layer.down, a, a.h, to, low.down, site("down")),
  ];
  return [
    ...withFloats(a.floats, layer.up, (floats) => [product(floats, y2, u, a.rows)]),
    ...adapterForward(layer.up, a, y2, u, low.up, site("up")),
    gelu(u, a.h, a.rows * config.inner),
    ...(a.branch
      ? [...downSteps(a.branch, {}), dropout(config, a, 2 + 2 * index, a.branch, to, 1)]
      : downSteps(to, { add: 1 })),
  ];
}

function experts(config: ModelConfig, layer: LayerWeights, a: TrainingBuffers, index: number, to: Tensor): Step[] {
  const { width, inner, experts: count } = config;
  const { rows, expert, prob, balance, h, branch } = a;
  const { y2, u, probs, order, start, low } = a.layers[index]!;
  const site = (name: Product) => adapterSite(config, index, name);
  const { at, to: place } = offsets(config, a, index);
  const kept = keptExperts(a);
  const result = branch ?? to;
  return [
    {
      kernel: gateForward,
      bindings: { x: y2, gate: layer.gate!, probs, expert, prob },
      params: { rows, width, experts: count, at },
    },
    { kernel: balanceForward, bindings: { probs, expert, balance }, params: { rows, experts: count, at, to: place } },
    ...drop(config, a, at),
    { kernel: orderForward, bindings: { expert: kept, order, start }, params: { rows, experts: count, at } },
    ...withFloats(a.floats, layer.up, (floats) => upSteps(floats, { x: y2, order, start, h: u }, rows, 0)),
    ...upAdapterForward(layer.up, a, y2, { order, start }, u, low.up, site("up")),
    gelu(u, h, rows * inner),
    ...(branch ? [copy(a.zero!, branch, rows * width)] : []),
    ...withFloats(a.floats, layer.down, (floats) => downSteps(floats, { h, order, start, prob, y: result }, rows, at)),
    ...downAdapterForward(layer.down, a, h, { order, start }, { prob, at, y: result }, low.down, site("down")),
    ...(branch ? [dropout(config, a, 2 + 2 * index, branch, to, 1)] : []),
  ];
}

/** Where an MoE layer starts in `expert` and `prob`, and in `balance`. */
export function offsets(config: ModelConfig, a: TrainingBuffers, index: number): { at: number; to: number } {
  const moe = (index - 1) / 2;
  return { at: moe * a.rows, to: moe * 2 * config.experts };
}

/** Experts by row, E where capacity dropped it. */
export function keptExperts(a: TrainingBuffers): Tensor {
  return a.shape.capacity ? a.kept : a.expert;
}

function drop(config: ModelConfig, a: TrainingBuffers, at: number): Step[] {
  const { rows, expert, kept, shape } = a;
  if (!shape.capacity) return [];
  const random = shape.capacity.random ? 1 : 0;
  return [
    {
      kernel: dropForward,
      bindings: { expert, kept },
      params: { rows, experts: config.experts, at, capacity: "capacity", random, ...seeded },
    },
  ];
}

/** Values of the variables by which training differs from inference, which drops nothing. */
export function dropValues(config: ModelConfig, { rows, shape }: TrainingBuffers, training: boolean) {
  if (!training) return { dropout: 0, adapter_dropout: 0, capacity: rows };
  const { factor, least } = shape.capacity ?? { factor: config.experts, least: rows };
  const capacity = Math.max(Math.ceil((rows / config.experts) * factor), least);
  return { dropout: shape.dropout, adapter_dropout: shape.adapter?.dropout ?? 0, capacity };
}

/** Dropout at one of the graph's places, the same mask on both ways: y = or y += masked x. */
export function dropout(config: ModelConfig, a: TrainingBuffers, site: number, x: Tensor, y: Tensor, add: 0 | 1): Step {
  const params = { count: a.rows * config.width, add, site, rate: "dropout", scale: 1, ...seeded };
  return { kernel: dropoutForward, bindings: { x, y }, params };
}

/** Rows of the head that are multiplied together. */
export type Block = TrainingBuffers["blocks"][number] & { index: number };

/** Final rows → losses, block by block; `then` adds what follows while a block's logits hold their gradient. */
export function lossSteps(
  config: ModelConfig,
  weights: Weights,
  a: TrainingBuffers,
  then: (block: Block) => Step[] = () => [],
): Step[] {
  const { target, logits, nll } = a;
  const blocks = a.blocks.flatMap(({ at, rows, final, dy }, index) => [
    ...withRows(a.floats, config, weights, (part) =>
      logitsSteps(config, { wte: { parts: [part] } }, final, logits, rows),
    ),
    ...headAdapterForward(weights, a, { rows, final, index }, logits),
    {
      kernel: crossEntropyBackward,
      bindings: { targets: target, logits, nll },
      params: { rows, vocabulary: config.vocabulary, at, scale: "scale" },
    },
    ...then({ at, rows, final, dy, index }),
  ]);
  return [...wholeTable(a.floats, config), ...maskFinal(config, a), ...blocks];
}
