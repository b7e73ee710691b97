/** Models made up for tests of quantizing: odd sizes, any weights. */
import { type FloatType, fromFloats } from "../../src/base/float.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import { expectedTensors } from "../../src/checkpoint/layout.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { tensorBytes } from "../../src/checkpoint/tensor.ts";
import { tinyConfig, tinyTokenizer } from "../checkpoint/tiny.ts";

/** No group divides the widths, no panel the columns. */
export const oddConfig: ModelConfig = { ...tinyConfig, vocabulary: 53, width: 40, inner: 72, layers: 4, experts: 3 };

/** Bell-shaped weights of standard deviation 0.02. */
export function bell(count: number, seed: number): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from(
    { length: count },
    () => 0.02 * (uniform() + uniform() + uniform() + uniform()) * Math.sqrt(3),
  );
}

/**
 * A source of made-up weights.
 * @param change may bend a tensor's weights
 */
export function madeModel(
  config = oddConfig,
  type: FloatType = "f32",
  change: (name: string, values: Float32Array) => void = () => {},
): ModelSource {
  const tensors = new Map(
    Array.from(expectedTensors(config), ([name, shape]) => [
      name,
      { name, type, shape, bytes: tensorBytes(name, type, shape) },
    ]),
  );
  return {
    label: "made-up",
    config,
    tokenizer: tinyTokenizer,
    provenance: { made: "test", from: "nothing", version: "0", notes: [] },
    tensors,
    notes: [],
    *read(name) {
      const { shape } = tensors.get(name)!;
      const values = bell(
        shape.reduce((a, b) => a * b),
        1 + [...tensors.keys()].indexOf(name),
      );
      change(name, values);
      const bytes = fromFloats(values, type);
      // Pieces of some odd length, as chunks have it at a tensor's end.
      for (let at = 0; at < bytes.length; at += 4 * 777) yield bytes.slice(at, at + 4 * 777);
    },
    identity: "0".repeat(64),
    close() {},
  };
}
