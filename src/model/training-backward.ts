/**
 * The way back as steps: from the losses to the gradient of everything that is trained (spec §3–4), written once for every
 * device. It goes down to the lowest tensor that is trained, and no further.
 */
import { keyBackward } from "../../kernels/attention/key_backward.ts";
import { queryBackward } from "../../kernels/attention/query_backward.ts";
import { embedBackward } from "../../kernels/embed/embed_backward.ts";
import { logitsBackward } from "../../kernels/embed/logits_backward.ts";
import { positionBackward } from "../../kernels/embed/position_backward.ts";
import { tableBackward } from "../../kernels/matmul/table_backward.ts";
import { normBackward } from "../../kernels/norm/norm_backward.ts";
import { weightBackward as normWeightBackward } from "../../kernels/norm/weight_backward.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Step, Tensor } from "../device/device.ts";
import { gelu } from "./products.ts";
import { adapterOf, headSite, maskStep, scaleStep } from "./training-adapter.ts";
import type { TrainingBuffers } from "./training-buffers.ts";
import { expertsBackward } from "./training-experts.ts";
import { withRows } from "./training-floats.ts";
import { type Block, dropout, forwardSteps, layerForward, lossSteps } from "./training-forward.ts";
import {
  add,
  affineBackward,
  type Gradients,
  inputSteps,
  isNormTrained,
  isTrained,
  type Way,
  weightSteps,
} from "./training-gradients.ts";
import type { LayerWeights, Norm, Weights } from "./weights.ts";

/**
 * Forward and backward of one micro-batch: leaves losses in `nll`, the experts' load in `balance`, and gradients of
 * `scale` · Σ nll + `aux` · Σ over MoE layers of rows⁻¹ · E · Σ ce · Σ p. Variables: scale, aux (the balance loss's weight times
 * E / rows), add, and where the shape asks for dropping those of `seeded` and `dropValues`.
 */
export function gradientSteps(config: ModelConfig, weights: Weights, gradients: Gradients, a: TrainingBuffers): Step[] {
  const way: Way = { config, a, gradients };
  const { layers } = config;
  const embeddings = gradients.has(weights.wpe) || weights.wte.parts.some(({ tensor }) => gradients.has(tensor));
  const found = weights.layers.findIndex((layer) => isLayerTrained(way, layer));
  const lowest = embeddings ? 0 : found < 0 ? layers : found;
  const body = lowest < layers;
  const final = body || isNormTrained(way, weights.norm);
  return [
    ...forwardSteps(config, weights, a),
    ...lossSteps(config, weights, a, (block) => headBackward(way, weights, block, final)),
    ...(final ? [...unmaskFinal(way), ...normSteps(way, weights.norm, a.x[layers]!, 0)] : []),
    ...weights.layers
      .map((layer, i) => (i < lowest ? [] : layerBackward(way, layer, i, i > lowest || embeddings)))
      .reverse()
      .flat(),
    ...(embeddings ? embeddingSteps(way, weights) : []),
  ];
}

function isLayerTrained(way: Way, { norm1, qkv, out, norm2, gate, up, down }: LayerWeights): boolean {
  return (
    [norm1, norm2].some((norm) => isNormTrained(way, norm)) ||
    [qkv, out, up, down].some((affine) => isTrained(way, affine)) ||
    (gate !== undefined && way.gradients.has(gate))
  );
}

/** A block of logits' gradients → rows of dy, and the gradients of table and adapter, which add up over the blocks. */
function headBackward(way: Way, weights: Weights, block: Block, further: boolean): Step[] {
  const { config, a, gradients } = way;
  const { width, vocabulary } = config;
  const { at, rows } = block;
  const adding = at > 0 ? 1 : add;
  const rowSteps = withRows(a.floats, config, weights, ({ tensor: wte, first, count }) => [
    {
      kernel: logitsBackward,
      bindings: { dy: a.logits, wte, dx: a.dy },
      params: { rows, width, vocabulary, first, count, at, add: first > 0 ? 1 : 0 },
    },
  ]);
  const tableSteps = weights.wte.parts.flatMap(({ tensor, first, count }): Step[] => {
    const dw = gradients.get(tensor);
    const params = { rows, width, cols: vocabulary, first, count, at, add: adding };
    return dw ? [{ kernel: tableBackward, bindings: { dy: a.logits, x: a.final, dw }, params }] : [];
  });
  return [...(further ? rowSteps : []), ...tableSteps, ...headAdapterBackward(way, weights, block, further, adding)];
}

function headAdapterBackward(
  way: Way,
  { head }: Weights,
  { rows, final, dy, index }: Block,
  further: boolean,
  adding: 1 | string,
): Step[] {
  const { a } = way;
  const adapter = adapterOf(head, a);
  if (!adapter) return [];
  const { a: first, b: second, head: kept, dscaled, dlow, scale, masked } = adapter;
  const seen = masked?.final?.blocks[index];
  const back = seen
    ? inputSteps(way, first, dlow, seen.dx, { rows })
    : inputSteps(way, first, dlow, dy, { rows, adding: 1 });
  return [
    ...weightSteps(way, second, kept!, a.logits, { rows, adding }),
    ...inputSteps(way, second, a.logits, dscaled, { rows }),
    scaleStep(dscaled, dlow, rows * first.w.cols, scale),
    ...weightSteps(way, first, seen?.x ?? final, dlow, { rows, adding }),
    ...(further ? back : []),
  ];
}

/** What the head's adapter adds to the gradient of the final rows, through its dropout. */
function unmaskFinal({ config, a }: Way): Step[] {
  const masked = a.adapter?.masked?.final;
  return masked ? [maskStep(masked.dx, a.dy, a.rows * config.width, headSite(config), 1)] : [];
}

/** dy → dx through a norm of `x`, written (0) or added (1), and the norm's own gradients. */
function normSteps({ config, a, gradients }: Way, { weight, bias }: Norm, x: Tensor, residual: 0 | 1): Step[] {
  const { dx, dy, stats, rows } = a;
  const { width, normEpsilon: eps } = config;
  const [dweight, dbias] = [gradients.get(weight), gradients.get(bias)];
  return [
    { kernel: normBackward, bindings: { x, weight, dy, dx, stats }, params: { rows, width, add: residual, eps } },
    ...(dweight && dbias
      ? [{ kernel: normWeightBackward, bindings: { x, dy, stats, dweight, dbias }, params: { rows, width, add } }]
      : []),
  ];
}

/** @param further whether the gradient of the layer's input is wanted */
function layerBackward(way: Way, layer: LayerWeights, index: number, further: boolean): Step[] {
  const { config, a } = way;
  const { rows, dy, dqkv, softmax } = a;
  const { mid, qkv, attended, y1 } = a.layers[index]!;
  const { heads, width } = config;
  const size = width / heads;
  const attention = { rows, heads, head_size: size, time: a.shape.time, scale: 1 / Math.sqrt(size) };
  // Is anything trained from here on down?
  const norm1 = further || isNormTrained(way, layer.norm1);
  const product = norm1 || isTrained(way, layer.qkv);
  const output = product || isTrained(way, layer.out);
  const norm2 = output || isNormTrained(way, layer.norm2);
  const ff = masked(way, 2 + 2 * index);
  const out = masked(way, 1 + 2 * index);
  return [
    ...(a.shape.recompute && index < config.layers - 1 ? layerForward(config, layer, a, index) : []),
    ...ff.steps,
    ...(layer.gate ? expertsBackward(way, layer, index, ff.dy, norm2) : denseBackward(way, layer, index, ff.dy, norm2)),
    ...(norm2 ? normSteps(way, layer.norm2, mid, 1) : []),
    ...(output ? out.steps : []),
    ...(output
      ? affineBackward(way, layer.out, { index, name: "out", x: attended }, out.dy, product ? dy : undefined)
      : []),
    ...(product
      ? [
          { kernel: queryBackward, bindings: { qkv, y: attended, dy, dqkv, stats: softmax }, params: attention },
          { kernel: keyBackward, bindings: { qkv, dy, stats: softmax, dqkv }, params: attention },
          ...affineBackward(way, layer.qkv, { index, name: "qkv", x: y1 }, dqkv, norm1 ? dy : undefined),
        ]
      : []),
    ...(norm1 ? normSteps(way, layer.norm1, a.x[index]!, 1) : []),
  ];
}

/** @param from gradient of the layer's output @param further whether the gradient of the input is wanted, in `dy` */
function denseBackward(way: Way, { up, down }: LayerWeights, index: number, from: Tensor, further: boolean): Step[] {
  const { config, a } = way;
  const { rows, h, du, dy } = a;
  const { u, y2 } = a.layers[index]!;
  const first = further || isTrained(way, up);
  return [
    ...(isTrained(way, down) ? [gelu(u, h, rows * config.inner)] : []),
    ...affineBackward(way, down, { index, name: "down", x: h }, from, first ? du : undefined, u),
    ...(first ? affineBackward(way, up, { index, name: "up", x: y2 }, du, further ? dy : undefined) : []),
  ];
}

function embeddingSteps({ config, a, gradients }: Way, { wte, wpe }: Weights): Step[] {
  const { rows, token, sorted, dy, branch, shape } = a;
  const { width } = config;
  const dx = branch ? dy : a.dx;
  const dwpe = gradients.get(wpe);
  return [
    ...(branch ? [dropout(config, a, 0, a.dx, dy, 0)] : []),
    ...wte.parts.flatMap(({ tensor, first, count }): Step[] => {
      const dwte = gradients.get(tensor);
      const params = { rows, width, first, count };
      return dwte ? [{ kernel: embedBackward, bindings: { dx, token, sorted, dwte }, params }] : [];
    }),
    ...(dwpe
      ? [{ kernel: positionBackward, bindings: { dx, dwpe }, params: { rows, width, time: shape.time, add } }]
      : []),
  ];
}

/** The residual stream's gradient as a branch sees it: through that branch's dropout, if there is any. */
function masked({ config, a }: Way, site: number): { dy: Tensor; steps: Step[] } {
  if (!a.branch) return { dy: a.dx, steps: [] };
  return { dy: a.branch, steps: [dropout(config, a, site, a.dx, a.branch, 0)] };
}
