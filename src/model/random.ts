/** Random weights of any shape: what benches run where no trained model of that size is at hand. */
import { type FloatType, fromFloats } from "../base/float.ts";
import { expectedTensors, type ModelConfig } from "../checkpoint/config.ts";
import type { WeightSource } from "./weights.ts";

const piece = 1 << 18;

/**
 * Weights uniform in ±0.03 (norm weights 1, biases 0), the same for the same shape.
 * One block of random numbers repeats at a stride coprime to every width, so that making 7 B of them costs no time.
 */
export function randomWeights(config: ModelConfig, type: FloatType): WeightSource {
  const shapes = expectedTensors(config);
  const block = new Float32Array(piece + 65537);
  let state = 0x9e3779b9;
  for (let i = 0; i < block.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    block[i] = (state / 2 ** 32 - 0.5) * 0.06;
  }
  return {
    typeOf: () => type,
    *read(name) {
      const size = shapes.get(name)!.reduce((a, b) => a * b, 1);
      const constant = /ln_.*weight$/.test(name) ? 1 : name.endsWith("bias") ? 0 : undefined;
      for (let at = 0; at < size; at += piece) {
        const n = Math.min(piece, size - at);
        const shift = ((at / piece) * 7919) % 65537;
        const values =
          constant === undefined ? block.slice(shift, shift + n) : new Float32Array(n).fill(constant);
        yield fromFloats(values, type);
      }
    },
  };
}
