/** Adapters in training, forward: scaled, on inputs of which a share is dropped, with what the way back reads kept. */
import { dropoutForward } from "../../kernels/activation/dropout_forward.ts";
import type { AdapterConfig } from "../checkpoint/adapter.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { type Device, elements, type Step, type Tensor } from "../device/device.ts";
import { createOwnOrder, type OwnOrder } from "./adapter-steps.ts";
import { downSteps, product, upSteps } from "./products.ts";
import type { Affine, LayerWeights, LowRank, Weights } from "./weights.ts";

/** Products of a layer that may have an adapter, in the order of their dropout's places. */
const products = ["qkv", "out", "up", "down"] as const;
export type Product = (typeof products)[number];

/** scale · x · A of each product with an adapter, [R, r]. */
export type LowProducts = Partial<Record<Product, Tensor>>;

export interface AdapterBuffers extends OwnOrder {
  /** alpha / rank. */
  scale: number;
  /** x · A; the gradient of scale · x · A, and of x · A: [R, r]. */
  low: Tensor;
  dscaled: Tensor;
  dlow: Tensor;
  /** Gradients of the biases that adapters do not have. */
  spare: Tensor;
  /** scale · x · A of one block of the head's rows. */
  head?: Tensor;
  /** Only with dropout. */
  masked?: MaskedBuffers;
}

interface MaskedBuffers {
  /** An input with a share dropped, and the gradient of what is left: [R, K], K the most inputs of a product. */
  x: Tensor;
  dx: Tensor;
  /** Zeros, as many; with adapters of experts. */
  zero?: Tensor;
  /** The same of the final rows, [R, C], and of their blocks. */
  final?: { x: Tensor; dx: Tensor; blocks: { x: Tensor; dx: Tensor }[] };
}

/** Of some layers, which share it. */
export function createLow(device: Device, rows: number, layers: readonly LayerWeights[]): LowProducts {
  const low: LowProducts = {};
  for (const name of products) {
    const adapter = layers.flatMap((layer) => layer[name].adapters ?? [])[0];
    if (adapter) low[name] = device.tensor({ label: `low.${name}`, shape: [rows, adapter.a.w.cols], type: "f32" });
  }
  return low;
}

/** @param block rows of the head at a time */
export function createAdapterBuffers(
  device: Device,
  { width }: ModelConfig,
  { rank, alpha, dropout, targets }: AdapterConfig,
  weights: Weights,
  rows: number,
  block: number,
): AdapterBuffers {
  const floats = (label: string, ...shape: number[]) => device.tensor({ label, shape, type: "f32" });
  const inLayers = weights.layers.flatMap((layer) => products.flatMap((name) => layer[name].adapters ?? []));
  const all = [...inLayers, ...(weights.head ?? [])];
  const finalMasked = () => {
    const [x, dx] = [floats("masked final", rows, width), floats("dmasked final", rows, width)];
    const blocks = Array.from({ length: Math.ceil(rows / block) }, (_, i) => {
      const view = (of: Tensor) => device.view(of, i * block * width, [Math.min(block, rows - i * block), width]);
      return { x: view(x), dx: view(dx) };
    });
    return { x, dx, blocks };
  };
  const widest = Math.max(1, ...inLayers.map(({ a }) => a.w.inner));
  const ofExperts = targets.some((target) => target.startsWith("experts."));
  return {
    scale: alpha / rank,
    low: floats("low", rows, rank),
    dscaled: floats("dscaled", rows, rank),
    dlow: floats("dlow", rows, rank),
    ...createOwnOrder(device, rows),
    spare: floats("spare", elements(all[0]!.a.b.shape)),
    ...(weights.head && { head: floats("low.head", block, rank) }),
    ...(dropout > 0 && {
      masked: {
        x: floats("masked", rows, widest),
        dx: floats("dmasked", rows, widest),
        ...(ofExperts && { zero: floats("zeros", rows, widest) }),
        ...(targets.includes("head") && { final: finalMasked() }),
      },
    }),
  };
}

/** What adapters' steps read of the training buffers. */
export interface Adapted {
  rows: number;
  adapter?: AdapterBuffers;
}

/** A model's one adapter of a product, and the buffers of training with it. */
export function adapterOf(adapters: readonly LowRank[] = [], a: Adapted): (LowRank & AdapterBuffers) | undefined {
  const [first] = adapters;
  return first && a.adapter && { ...first, ...a.adapter };
}

/** The place of a product's dropout: after all of the model's own. */
export function adapterSite({ layers }: ModelConfig, index: number, name: Product): number {
  return 2 * layers + 1 + products.length * index + products.indexOf(name);
}

/** The place of the head's. */
export function headSite(config: ModelConfig): number {
  return adapterSite(config, config.layers, "qkv");
}

/** What an adapter sees of its input: `to` = masked x, [rows, cols]. */
export function maskStep(x: Tensor, to: Tensor, count: number, site: number, add: 0 | 1 = 0): Step {
  const seeds = { seed_low: "seed_low", seed_high: "seed_high", stream: "stream" };
  const params = { count, add, site, rate: "adapter_dropout", scale: 1, ...seeds };
  return { kernel: dropoutForward, bindings: { x, y: to }, params };
}

/** Before the head's blocks: the final rows as its adapter sees them. */
export function maskFinal(config: ModelConfig, { rows, final, adapter }: Adapted & { final: Tensor }): Step[] {
  const masked = adapter?.masked?.final;
  return masked ? [maskStep(final, masked.x, rows * config.width, headSite(config))] : [];
}

/** logits += scale · (masked final · a) · b, of one block of rows. */
export function headAdapterForward(
  { head }: Pick<Weights, "head">,
  a: Adapted,
  { rows, final, index }: { rows: number; final: Tensor; index: number },
  logits: Tensor,
): Step[] {
  const adapter = adapterOf(head, a);
  if (!adapter) return [];
  const { low, head: kept, scale, masked } = adapter;
  const seen = masked?.final?.blocks[index];
  return [
    product(adapter.a, seen?.x ?? final, low, rows),
    scaleStep(low, kept!, rows * adapter.a.w.cols, scale),
    product(adapter.b, kept!, logits, rows, { add: 1 }),
  ];
}

/** y = x. */
export function copy(x: Tensor, y: Tensor, count: number): Step {
  return scaleStep(x, y, count, 1);
}

/** y = by · x. */
export function scaleStep(x: Tensor, y: Tensor, count: number, by: number): Step {
  const params = { count, add: 0, seed_low: 0, seed_high: 0, stream: 0, site: 0, rate: 0, scale: by };
  return { kernel: dropoutForward, bindings: { x, y }, params };
}

/** y += scale · (masked x · a) · b of a matrix that is no experts'; `kept` = scale · masked x · a. */
export function adapterForward(
  affine: Affine,
  a: Adapted,
  x: Tensor,
  y: Tensor,
  kept: Tensor | undefined,
  site: number,
) {
  const adapter = adapterOf(affine.adapters, a);
  if (!adapter || !kept) return [];
  const { rows } = a;
  const { masked } = adapter;
  return [
    ...(masked ? [maskStep(x, masked.x, rows * affine.w.inner, site)] : []),
    product(adapter.a, masked?.x ?? x, adapter.low, rows),
    scaleStep(adapter.low, kept, elements(kept.shape), adapter.scale),
    product(adapter.b, kept, y, rows, { add: 1 }),
  ];
}

/** Rows that lie in the order of the experts, [start[e], start[e + 1]) those of e. */
interface Grouped {
  order: Tensor;
  start: Tensor;
}

/** The same of the experts' first matrix: u[i] += scale · (masked x[order[i]] · a) · b. */
export function upAdapterForward(
  affine: Affine,
  a: Adapted,
  x: Tensor,
  { order, start }: Grouped,
  u: Tensor,
  kept: Tensor | undefined,
  site: number,
): Step[] {
  const adapter = adapterOf(affine.adapters, a);
  if (!adapter || !kept) return [];
  const { rows } = a;
  const { masked, low, own, once, scale } = adapter;
  return [
    ...(masked ? [maskStep(x, masked.x, rows * affine.w.inner, site)] : []),
    ...upSteps(adapter.a, { x: masked?.x ?? x, order, start, h: low }, rows, 0),
    scaleStep(low, kept, elements(kept.shape), scale),
    ...downSteps(adapter.b, { h: kept, order: own, start, prob: once, y: u }, rows, 0),
  ];
}

/** And of the second: y[order[i]] += prob · scale · (masked h[i] · a) · b. */
export function downAdapterForward(
  affine: Affine,
  a: Adapted,
  h: Tensor,
  { order, start }: Grouped,
  to: { prob: Tensor; at: number; y: Tensor },
  kept: Tensor | undefined,
  site: number,
): Step[] {
  const adapter = adapterOf(affine.adapters, a);
  if (!adapter || !kept) return [];
  const { rows } = a;
  const { masked, low, own, scale } = adapter;
  return [
    ...(masked ? [maskStep(h, masked.x, rows * affine.w.inner, site)] : []),
    ...upSteps(adapter.a, { x: masked?.x ?? h, order: own, start, h: low }, rows, 0),
    scaleStep(low, kept, elements(kept.shape), scale),
    ...downSteps(adapter.b, { h: kept, order, start, prob: to.prob, y: to.y }, rows, to.at),
  ];
}
