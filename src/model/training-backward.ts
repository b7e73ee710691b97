/** The way back as steps: from the losses to the gradient of every parameter (spec §3–4), written once for every device. */
import { keyBackward } from "../../kernels/attention/key_backward.ts";
import { queryBackward } from "../../kernels/attention/query_backward.ts";
import { embedBackward } from "../../kernels/embed/embed_backward.ts";
import { logitsBackward } from "../../kernels/embed/logits_backward.ts";
import { positionBackward } from "../../kernels/embed/position_backward.ts";
import { inputBackward } from "../../kernels/matmul/input_backward.ts";
import { tableBackward } from "../../kernels/matmul/table_backward.ts";
import { weightBackward } from "../../kernels/matmul/weight_backward.ts";
import { activationBackward } from "../../kernels/moe/activation_backward.ts";
import { gatherForward } from "../../kernels/moe/gather_forward.ts";
import { inputBackward as expertInputBackward } from "../../kernels/moe/input_backward.ts";
import { routeBackward } from "../../kernels/moe/route_backward.ts";
import { weightBackward as expertWeightBackward } from "../../kernels/moe/weight_backward.ts";
import { normBackward } from "../../kernels/norm/norm_backward.ts";
import { weightBackward as normWeightBackward } from "../../kernels/norm/weight_backward.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Step, Tensor } from "../device/device.ts";
import { gelu } from "./products.ts";
import type { TrainingBuffers } from "./training-buffers.ts";
import { dropout, forwardSteps, keptExperts, layerForward, lossSteps, offsets } from "./training-forward.ts";
import type { Affine, LayerWeights, Norm, Weights } from "./weights.ts";

/** What the steps of the way back share. */
interface Way {
  config: ModelConfig;
  a: TrainingBuffers;
}

/** Every gradient is written, or added to what is there: 0 or 1, set by each run. */
const add = "add";

/**
 * Forward and backward of one micro-batch: leaves losses in `nll`, the experts' load in `balance`, and gradients of
 * `scale` · Σ nll + `aux` · Σ over MoE layers of rows⁻¹ · E · Σ ce · Σ p. Variables: scale, aux (the balance loss's weight times
 * E / rows), add, and where the shape asks for dropping those of `seeded` and `dropValues`.
 */
export function gradientSteps(config: ModelConfig, weights: Weights, gradients: Weights, a: TrainingBuffers): Step[] {
  const way: Way = { config, a };
  const { width, layers } = config;
  const { rows, dx, dy, token, sorted } = a;
  return [
    ...forwardSteps(config, weights, a),
    ...lossSteps(config, weights, a, (at, some) => headBackward(way, weights, gradients, at, some)),
    ...normSteps(way, weights.norm, gradients.norm, a.x[layers]!, 0),
    ...weights.layers
      .flatMap((layer, i) => [layerBackward(way, layer, gradients.layers[i]!, i)])
      .reverse()
      .flat(),
    ...maskedInput(way),
    ...gradients.wte.parts.map(({ tensor: dwte, first, count }) => ({
      kernel: embedBackward,
      bindings: { dx: a.branch ? dy : dx, token, sorted, dwte },
      params: { rows, width, first, count },
    })),
    {
      kernel: positionBackward,
      bindings: { dx: a.branch ? dy : dx, dwpe: gradients.wpe },
      params: { rows, width, time: a.shape.time, add },
    },
  ];
}

/** A block of logits' gradients → rows of dy, and the embedding's gradient, which adds up over the blocks. */
function headBackward({ config, a }: Way, weights: Weights, gradients: Weights, at: number, rows: number): Step[] {
  const { width, vocabulary } = config;
  return [
    ...weights.wte.parts.map(({ tensor: wte, first, count }) => ({
      kernel: logitsBackward,
      bindings: { dy: a.logits, wte, dx: a.dy },
      params: { rows, width, vocabulary, first, count, at, add: first > 0 ? 1 : 0 },
    })),
    ...gradients.wte.parts.map(({ tensor: dw, first, count }) => ({
      kernel: tableBackward,
      bindings: { dy: a.logits, x: a.final, dw },
      params: { rows, width, cols: vocabulary, first, count, at, add: at > 0 ? 1 : add },
    })),
  ];
}

/** dy → dx through a norm of `x`, written (0) or added (1), and the norm's own gradients. */
function normSteps({ config, a }: Way, { weight }: Norm, gradient: Norm, x: Tensor, residual: 0 | 1): Step[] {
  const { dx, dy, stats, rows } = a;
  const { width, normEpsilon: eps } = config;
  return [
    { kernel: normBackward, bindings: { x, weight, dy, dx, stats }, params: { rows, width, add: residual, eps } },
    {
      kernel: normWeightBackward,
      bindings: { x, dy, stats, dweight: gradient.weight, dbias: gradient.bias },
      params: { rows, width, add },
    },
  ];
}

function layerBackward(way: Way, layer: LayerWeights, gradient: LayerWeights, index: number): Step[] {
  const { config, a } = way;
  const { rows, dy, dqkv, softmax } = a;
  const { mid, qkv, attended, y1 } = a.layers[index]!;
  const { heads, width } = config;
  const size = width / heads;
  const attention = { rows, heads, head_size: size, time: a.shape.time, scale: 1 / Math.sqrt(size) };
  const out = masked(way, 1 + 2 * index);
  return [
    ...(a.shape.recompute && index < config.layers - 1 ? layerForward(config, layer, a, index) : []),
    ...(layer.gate ? expertsBackward(way, layer, gradient, index) : denseBackward(way, layer, gradient, index)),
    ...normSteps(way, layer.norm2, gradient.norm2, mid, 1),
    ...out.steps,
    weightSteps(gradient.out, attended, out.dy, rows),
    inputStep(layer.out, out.dy, dy, rows),
    { kernel: queryBackward, bindings: { qkv, y: attended, dy, dqkv, stats: softmax }, params: attention },
    { kernel: keyBackward, bindings: { qkv, dy, stats: softmax, dqkv }, params: attention },
    weightSteps(gradient.qkv, y1, dqkv, rows),
    inputStep(layer.qkv, dqkv, dy, rows),
    ...normSteps(way, layer.norm1, gradient.norm1, a.x[index]!, 1),
  ];
}

function denseBackward(way: Way, layer: LayerWeights, gradient: LayerWeights, index: number): Step[] {
  const { config, a } = way;
  const { rows, h, du, dy } = a;
  const { u, y2 } = a.layers[index]!;
  const out = masked(way, 2 + 2 * index);
  return [
    ...out.steps,
    gelu(u, h, rows * config.inner),
    weightSteps(gradient.down, h, out.dy, rows),
    inputStep(layer.down, out.dy, du, rows, u),
    weightSteps(gradient.up, y2, du, rows),
    inputStep(layer.up, du, dy, rows),
  ];
}

/** The experts' output was prob · (h · Wd + b): its gradient goes to the experts, and through prob to the gate. */
function expertsBackward(way: Way, layer: LayerWeights, gradient: LayerWeights, index: number): Step[] {
  const { config, a } = way;
  const { width, inner, experts } = config;
  const { rows, h, du, dy, gathered, dgathered, dprob, dlogits, prob, balance } = a;
  const { u, y2, probs, order, start } = a.layers[index]!;
  const { at, to } = offsets(config, a, index);
  const out = masked(way, 2 + 2 * index);
  const gather = (x: Tensor, y: Tensor, scaled: 0 | 1): Step => ({
    kernel: gatherForward,
    bindings: { x, order, start, prob, y },
    params: { rows, width, experts, at, scaled },
  });
  const input = ({ w }: Affine, from: Tensor, to: Tensor, scatter: 0 | 1): Step[] =>
    w.parts.map(({ tensor, first, count }) => ({
      kernel: expertInputBackward,
      bindings: { dy: from, order, start, w: tensor, dx: to },
      params: { rows, inner: w.inner, cols: w.cols, first, count, scatter },
    }));
  const weight = ({ w, b }: Affine, x: Tensor, from: Tensor): Step[] =>
    w.parts.map(({ tensor, first, count }) => ({
      kernel: expertWeightBackward,
      bindings: { x, dy: from, start, dw: tensor, db: b },
      params: { rows, inner: w.inner, cols: w.cols, first, count, add },
    }));
  return [
    ...out.steps,
    gather(out.dy, dgathered, 1),
    gelu(u, h, rows * inner),
    ...weight(gradient.down, h, dgathered),
    ...input(layer.down, dgathered, du, 0),
    {
      kernel: activationBackward,
      bindings: { u, dy: dgathered, b: layer.down.b, order, start, prob, g: du, dprob },
      params: { rows, inner, width, experts, at },
    },
    gather(y2, gathered, 0),
    ...weight(gradient.up, gathered, du),
    {
      kernel: routeBackward,
      bindings: { probs, expert: keptExperts(a), dprob, balance, gate: layer.gate!, dz: dlogits, dx: dy },
      params: { rows, width, experts, at, to, aux: "aux" },
    },
    {
      kernel: tableBackward,
      bindings: { dy: dlogits, x: y2, dw: gradient.gate! },
      params: { rows, width, cols: experts, first: 0, count: experts, at: 0, add },
    },
    ...input(layer.up, du, dy, 1),
  ];
}

/** The residual stream's gradient as a branch sees it: through that branch's dropout, if there is any. */
function masked({ config, a }: Way, site: number): { dy: Tensor; steps: Step[] } {
  if (!a.branch) return { dy: a.dx, steps: [] };
  return { dy: a.branch, steps: [dropout(config, a, site, a.dx, a.branch, 0)] };
}

function maskedInput({ config, a }: Way): Step[] {
  return a.branch ? [dropout(config, a, 0, a.dx, a.dy, 0)] : [];
}

function weightSteps({ w, b }: Affine, x: Tensor, dy: Tensor, rows: number): Step {
  const { inner, cols } = w;
  return { kernel: weightBackward, bindings: { x, dy, dw: whole(w), db: b }, params: { rows, inner, cols, add } };
}

/** @param u given where the input was gelu(u) */
function inputStep({ w }: Affine, dy: Tensor, dx: Tensor, rows: number, u?: Tensor): Step {
  const { inner, cols } = w;
  return {
    kernel: inputBackward,
    bindings: { dy, w: whole(w), u: u ?? dy, dx },
    params: { rows, inner, cols, gelu: u ? 1 : 0, add: 0 },
  };
}

/** A matrix that is no experts' has one part. */
function whole({ parts }: Affine["w"]): Tensor {
  return parts[0]!.tensor;
}
