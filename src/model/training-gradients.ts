/** Gradients of products: of their matrices and adapters where these are trained, and of what went in. */
import { inputBackward } from "../../kernels/matmul/input_backward.ts";
import { weightBackward } from "../../kernels/matmul/weight_backward.ts";
import { inputBackward as expertInputBackward } from "../../kernels/moe/input_backward.ts";
import { weightBackward as expertWeightBackward } from "../../kernels/moe/weight_backward.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { elements, type Step, type Tensor } from "../device/device.ts";
import { adapterOf, adapterSite, maskStep, type Product, scaleStep } from "./training-adapter.ts";
import type { TrainingBuffers } from "./training-buffers.ts";
import { withFloats } from "./training-floats.ts";
import type { Affine, Norm } from "./weights.ts";

/** The gradient of each tensor, or part of one, that is trained; what is frozen has none, and none is computed. */
export type Gradients = ReadonlyMap<Tensor, Tensor>;

/** What the steps of the way back share. */
export interface Way {
  config: ModelConfig;
  a: TrainingBuffers;
  gradients: Gradients;
}

/** Every gradient is written, or added to what is there: 0 or 1, set by each run. */
export const add = "add";

/** Is anything of a product trained, its adapter included? */
export function isTrained({ gradients }: Way, { w, adapters = [] }: Affine): boolean {
  return [w, ...adapters.map(({ a }) => a.w)].some(({ parts }) => parts.some(({ tensor }) => gradients.has(tensor)));
}

export function isNormTrained({ gradients }: Way, { weight, bias }: Norm): boolean {
  return gradients.has(weight) || gradients.has(bias);
}

/** dw = xᵀ · dy, or added; nothing where the matrix is frozen. Biases that adapters do not have go nowhere. */
export function weightSteps(
  { a, gradients }: Way,
  { w, b }: Affine,
  x: Tensor,
  dy: Tensor,
  { rows = a.rows, adding = add }: { rows?: number; adding?: string | 1 } = {},
): Step[] {
  const dw = gradients.get(whole(w));
  if (!dw) return [];
  const db = gradients.get(b) ?? a.adapter!.spare;
  const { inner, cols } = w;
  return [{ kernel: weightBackward, bindings: { x, dy, dw, db }, params: { rows, inner, cols, add: adding } }];
}

/**
 * dx = dy · wᵀ, or added.
 * @param u given where the input was gelu(u)
 */
export function inputSteps(
  { a }: Way,
  affine: Affine,
  dy: Tensor,
  dx: Tensor,
  { u, adding = 0, rows = a.rows }: { u?: Tensor | undefined; adding?: 0 | 1; rows?: number } = {},
): Step[] {
  return withFloats(a.floats, affine, ({ w }) => [
    {
      kernel: inputBackward,
      bindings: { dy, w: whole(w), u: u ?? dy, dx },
      params: { rows, inner: w.inner, cols: w.cols, gelu: u ? 1 : 0, add: adding },
    },
  ]);
}

/** A product of a layer: which it is, and its input. */
interface Factor {
  index: number;
  name: Product;
  x: Tensor;
}

/**
 * dy → dx through a matrix that is no experts' and its adapter, and the gradients of what is trained of them.
 * @param dx undefined where nothing before it is trained
 * @param u given where the input was gelu(u)
 */
export function affineBackward(
  way: Way,
  affine: Affine,
  factor: Factor,
  dy: Tensor,
  dx: Tensor | undefined,
  u?: Tensor,
): Step[] {
  const { config, a } = way;
  const { index, name, x } = factor;
  const { inner } = affine.w;
  const adapter = adapterOf(affine.adapters, a);
  const adapted = () => {
    const { a: first, b: second, dscaled, dlow, scale, masked } = adapter!;
    const kept = a.layers[index]!.low[name]!;
    const site = adapterSite(config, index, name);
    const back = masked
      ? (dx: Tensor) => [...inputSteps(way, first, dlow, masked.dx), maskStep(masked.dx, dx, a.rows * inner, site)]
      : (dx: Tensor) => inputSteps(way, first, dlow, dx);
    return [
      ...weightSteps(way, second, kept, dy),
      ...inputSteps(way, second, dy, dscaled),
      scaleStep(dscaled, dlow, elements(dlow.shape), scale),
      ...(masked ? [maskStep(x, masked.x, a.rows * inner, site)] : []),
      ...weightSteps(way, first, masked?.x ?? x, dlow),
      ...(dx ? back(dx) : []),
    ];
  };
  return [
    ...weightSteps(way, affine, x, dy),
    ...(adapter ? adapted() : []),
    ...(dx ? inputSteps(way, affine, dy, dx, { u, adding: adapter ? 1 : 0 }) : []),
  ];
}

/** dw[e] = Σ xᵀ · dy over the rows of each expert that is trained, in their order. */
export function expertWeightSteps({ a, gradients }: Way, { w, b }: Affine, x: Tensor, dy: Tensor, start: Tensor) {
  const { inner, cols } = w;
  return w.parts.flatMap(({ tensor, first, count }): Step[] => {
    const dw = gradients.get(tensor);
    if (!dw) return [];
    const db = gradients.get(b) ?? a.adapter!.spare;
    const params = { rows: a.rows, inner, cols, first, count, add };
    return [{ kernel: expertWeightBackward, bindings: { x, dy, start, dw, db }, params }];
  });
}

/** dx[i] = dy[i] · w[e]ᵀ over the rows of the experts in their order, or, scattered, added to dx[order[i]]. */
export function expertInputSteps(
  { a }: Way,
  affine: Affine,
  dy: Tensor,
  dx: Tensor,
  { order, start }: { order: Tensor; start: Tensor },
  scatter: 0 | 1,
): Step[] {
  const { rows } = a;
  return withFloats(a.floats, affine, ({ w: { inner, cols, parts } }) =>
    parts.map(({ tensor: w, first, count }) => ({
      kernel: expertInputBackward,
      bindings: { dy, order, start, w, dx },
      params: { rows, inner, cols, first, count, scatter },
    })),
  );
}

/** A matrix that is no experts' has one part. */
function whole({ parts }: Affine["w"]): Tensor {
  return parts[0]!.tensor;
}
