/** Weights as training starts with them (spec §3, "init" and "gate init"). */
import { philox, seedWords, unit } from "../base/random.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import { tensorBytes } from "../checkpoint/tensor.ts";
import { elements } from "../device/device.ts";
import type { WeightSource } from "./weights.ts";

/**
 * Normal with deviation σ, σ / √(2 · layers) for the two matrices that end in the residual stream; gates uniform in
 * ± 1 / √width; norm weights 1, biases 0. The same seed gives the same weights.
 */
export function initialWeights(config: ModelConfig, seed: bigint, sigma: number): WeightSource {
  const tensors = new Map(
    Array.from(expectedTensors(config), ([name, shape]) => [
      name,
      { name, type: "f32" as const, shape, bytes: tensorBytes(name, "f32", shape) },
    ]),
  );
  const index = new Map(Array.from(tensors.keys(), (name, i) => [name, i]));
  return {
    tensors,
    *read(name) {
      const values = new Float32Array(elements(tensors.get(name)!.shape));
      const random = (i: number) => philox(seedWords(seed), [i, index.get(name)!, 0, 0]);
      if (name.endsWith(".bias")) values.fill(0);
      else if (/ln_\w+\.weight$/.test(name)) values.fill(1);
      else if (name.endsWith("gate.weight")) uniform(values, 1 / Math.sqrt(config.width), random);
      else normal(values, name.endsWith("c_proj.weight") ? sigma / Math.sqrt(2 * config.layers) : sigma, random);
      yield new Uint8Array(values.buffer);
    },
  };
}

type Words = (i: number) => readonly [number, number, number, number];

function uniform(values: Float32Array, bound: number, random: Words): void {
  for (let i = 0; i < values.length; i += 4) {
    const words = random(i / 4);
    for (let j = 0; j < 4 && i + j < values.length; j++) values[i + j] = (2 * unit(words[j]!) - 1) * bound;
  }
}

/** Box–Muller: two words make two normal numbers. */
function normal(values: Float32Array, sigma: number, random: Words): void {
  for (let i = 0; i < values.length; i += 4) {
    const words = random(i / 4);
    for (let j = 0; j < 4 && i + j < values.length; j += 2) {
      const radius = sigma * Math.sqrt(-2 * Math.log(1 - unit(words[j]!)));
      const angle = 2 * Math.PI * unit(words[j + 1]!);
      values[i + j] = radius * Math.cos(angle);
      if (i + j + 1 < values.length) values[i + j + 1] = radius * Math.sin(angle);
    }
  }
}
