/** The way back through a mixture of experts: their output was prob · (h · Wd + b), so it goes to them, and through prob to the gate. */
import { tableBackward } from "../../kernels/matmul/table_backward.ts";
import { activationBackward } from "../../kernels/moe/activation_backward.ts";
import { gatherForward } from "../../kernels/moe/gather_forward.ts";
import { routeBackward } from "../../kernels/moe/route_backward.ts";
import { elements, type Step, type Tensor } from "../device/device.ts";
import { gelu } from "./products.ts";
import { adapterOf, adapterSite, copy, maskStep, type Product, scaleStep } from "./training-adapter.ts";
import { keptExperts, offsets } from "./training-forward.ts";
import { add, expertInputSteps, expertWeightSteps, isTrained, type Way } from "./training-gradients.ts";
import type { Affine, LayerWeights } from "./weights.ts";

/**
 * @param from gradient of the layer's output, [R, C]
 * @param further whether the gradient of the input is wanted, in `dy`
 */
export function expertsBackward(way: Way, layer: LayerWeights, index: number, from: Tensor, further: boolean): Step[] {
  const { config, a, gradients } = way;
  const { width, inner, experts } = config;
  const { rows, h, du, dy, gathered, dgathered, dprob, dlogits, prob, balance } = a;
  const { u, y2, probs, order, start } = a.layers[index]!;
  const { at, to } = offsets(config, a, index);
  const { up, down, gate } = layer;
  const gather = (x: Tensor, y: Tensor, scaled: 0 | 1): Step => ({
    kernel: gatherForward,
    bindings: { x, order, start, prob, y },
    params: { rows, width, experts, at, scaled },
  });
  const dgate = gradients.get(gate!);
  const own = { order: a.adapter?.own ?? order, start };
  const grouped = { order, start };
  return [
    gather(from, dgathered, 1),
    ...(isTrained(way, down) ? [gelu(u, h, rows * inner)] : []),
    ...expertWeightSteps(way, down, h, dgathered, start),
    ...adapterGradients(way, down, index, "down", h, dgathered),
    ...(further || dgate || isTrained(way, up)
      ? [
          ...expertInputSteps(way, down, dgathered, du, grouped, 0),
          ...adapterInput(way, down, index, "down", du, own),
          {
            kernel: activationBackward,
            bindings: { u, dy: dgathered, b: down.b, order, start, prob, g: du, dprob },
            params: { rows, inner, width, experts, at },
          },
        ]
      : []),
    ...(isTrained(way, up) ? [gather(y2, gathered, 0)] : []),
    ...expertWeightSteps(way, up, gathered, du, start),
    ...adapterGradients(way, up, index, "up", y2, du, (x) => [gather(x, gathered, 0)]),
    ...(further || dgate
      ? [
          {
            kernel: routeBackward,
            bindings: { probs, expert: keptExperts(a), dprob, balance, gate: gate!, dz: dlogits, dx: dy },
            params: { rows, width, experts, at, to, aux: "aux" },
          },
        ]
      : []),
    ...(dgate
      ? [
          {
            kernel: tableBackward,
            bindings: { dy: dlogits, x: y2, dw: dgate },
            params: { rows, width, cols: experts, first: 0, count: experts, at: 0, add },
          },
        ]
      : []),
    ...(further
      ? [...expertInputSteps(way, up, du, dy, grouped, 1), ...adapterInput(way, up, index, "up", dy, grouped)]
      : []),
  ];
}

/**
 * Gradients of the experts' adapters of a product; leaves that of x · A in `dlow`.
 * @param gather puts inputs into the order of the experts, into `gathered`, where they are not
 */
function adapterGradients(
  way: Way,
  affine: Affine,
  index: number,
  name: Product,
  x: Tensor,
  dy: Tensor,
  gather?: (x: Tensor) => Step[],
): Step[] {
  const { config, a } = way;
  const adapter = adapterOf(affine.adapters, a);
  if (!adapter) return [];
  const { start, low } = a.layers[index]!;
  const { a: first, b: second, dscaled, dlow, scale, masked, own } = adapter;
  const kept = low[name]!;
  const seen = masked?.x ?? x;
  return [
    ...expertWeightSteps(way, second, kept, dy, start),
    ...expertInputSteps(way, second, dy, dscaled, { order: own, start }, 0),
    scaleStep(dscaled, dlow, elements(dlow.shape), scale),
    ...(masked ? [maskStep(x, masked.x, a.rows * affine.w.inner, adapterSite(config, index, name))] : []),
    ...(masked && gather ? gather(masked.x) : []),
    ...expertWeightSteps(way, first, gather ? a.gathered : seen, dlow, start),
  ];
}

/** dx[order[i]] += mask · (`dlow`[i] · Aᵀ). */
function adapterInput(
  way: Way,
  affine: Affine,
  index: number,
  name: Product,
  dx: Tensor,
  grouped: { order: Tensor; start: Tensor },
): Step[] {
  const { config, a } = way;
  const adapter = adapterOf(affine.adapters, a);
  if (!adapter) return [];
  const { a: first, dlow, masked } = adapter;
  if (!masked) return expertInputSteps(way, first, dlow, dx, grouped, 1);
  const count = a.rows * affine.w.inner;
  return [
    // Rows of experts without an adapter get nothing.
    copy(masked.zero!, masked.dx, count),
    ...expertInputSteps(way, first, dlow, masked.dx, grouped, 1),
    maskStep(masked.dx, dx, count, adapterSite(config, index, name), 1),
  ];
}
