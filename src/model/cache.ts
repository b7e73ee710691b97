/** Keys and values of a sequence, or several: the memory that grows with the context. */
import { type CompactBits, compactWords } from "../../kernels/attention/compact.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Device, Tensor } from "../device/device.ts";

/** How keys and values are kept: as they are, rounded to f16, or to 8 bits with an f16 scale for each 32 channels. */
export const cacheTypes = ["f32", "f16", "q8"] as const;
export type CacheType = (typeof cacheTypes)[number];

const cacheBits: Record<CacheType, CompactBits | undefined> = { f32: undefined, f16: 16, q8: 8 };

/** Keys and values of each layer: f32 [B, H, S, D], or u32 [B, H, S, words of D channels]. */
export interface Cache {
  context: number;
  /** Of a channel, where the cache is compact. */
  bits: CompactBits | undefined;
  layers: { k: Tensor; v: Tensor }[];
}

export function createCache(
  device: Device,
  config: ModelConfig,
  batch: number,
  context: number,
  type: CacheType = "f32",
): Cache {
  const bits = cacheBits[type];
  const shape = shapeOf(config, bits, batch, context);
  const tensor = (label: string) => device.tensor({ label, shape, type: bits ? "u32" : "f32" });
  return {
    context,
    bits,
    layers: Array.from({ length: config.layers }, (_, i) => ({ k: tensor(`cache.${i}.k`), v: tensor(`cache.${i}.v`) })),
  };
}

/** The same memory as a cache of `batch` sequences of `context` positions: no more of them in all. */
export function viewCache(
  device: Device,
  config: ModelConfig,
  { bits, layers }: Cache,
  batch: number,
  context: number,
): Cache {
  const shape = shapeOf(config, bits, batch, context);
  const view = (tensor: Tensor) => device.view(tensor, 0, shape);
  return { context, bits, layers: layers.map(({ k, v }) => ({ k: view(k), v: view(v) })) };
}

function shapeOf({ width, heads }: ModelConfig, bits: CompactBits | undefined, batch: number, context: number) {
  const size = width / heads;
  return [batch, heads, context, bits ? compactWords(bits, size) : size];
}
