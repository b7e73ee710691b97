/** Random weights of any shape: what benches run where no trained model of that size is at hand. */
import { type FloatType, fromFloats } from "../base/float.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import { tensorBytes } from "../checkpoint/tensor.ts";
import { elements } from "../device/device.ts";
import type { WeightSource } from "./weights.ts";

const piece = 1 << 18;

/**
 * Weights uniform in ±0.03 (norm weights 1, biases 0), the same for the same shape.
 * One block of random numbers repeats at changing offsets, so that making billions of them costs little time.
 */
export function randomWeights(config: ModelConfig, type: FloatType): WeightSource {
  const block = new Float32Array(piece + 65537);
  let state = 0x9e3779b9;
  for (let i = 0; i < block.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    block[i] = (state / 2 ** 32 - 0.5) * 0.06;
  }
  const stored = new Map(
    Array.from(expectedTensors(config), ([name, shape]) => [
      name,
      { name, type, shape, bytes: tensorBytes(name, type, shape) },
    ]),
  );
  return {
    tensors: stored,
    *read(name) {
      const size = elements(stored.get(name)!.shape);
      const constant = /ln_.*weight$/.test(name) ? 1 : name.endsWith("bias") ? 0 : undefined;
      for (let at = 0; at < size; at += piece) {
        const n = Math.min(piece, size - at);
        const shift = ((at / piece) * 7919) % 65537;
        const values = constant === undefined ? block.slice(shift, shift + n) : new Float32Array(n).fill(constant);
        yield fromFloats(values, type);
      }
    },
  };
}
