/** Models and adapters in memory, of made-up weights. */
import { philox, unit } from "../../src/base/random.ts";
import { type AdapterConfig, adapterTensors } from "../../src/checkpoint/adapter.ts";
import type { AdapterSource } from "../../src/checkpoint/adapter-file.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { type TensorType, tensorBytes } from "../../src/checkpoint/tensor.ts";
import { elements } from "../../src/device/device.ts";
import { randomWeights } from "../../src/model/random.ts";

const provenance = { made: "test", from: "nothing", version: "0", notes: [] };
const identity = "0123456789abcdef".repeat(4);

export function madeModel(config: ModelConfig, typeOf: (name: string) => TensorType = () => "f32"): ModelSource {
  const { tensors, read } = randomWeights(config, typeOf);
  return { label: "made", config, tokenizer: {}, provenance, tensors, notes: [], read, identity, close() {} };
}

/** Both of an adapter's matrices uniform in ± `scale`. */
export function madeAdapter(model: ModelConfig, adapter: AdapterConfig, scale = 0.1, seed = 1): AdapterSource {
  const tensors = new Map(
    Array.from(adapterTensors(model, adapter), ([name, shape]) => [
      name,
      { name, type: "f32" as const, shape, bytes: tensorBytes(name, "f32", shape) },
    ]),
  );
  const index = new Map(Array.from(tensors.keys(), (name, i) => [name, i]));
  return {
    ...{ label: "adapter", adapter, provenance, tensors, close() {} },
    base: { identity, name: "made", config: model },
    *read(name) {
      const values = Float32Array.from(
        { length: elements(tensors.get(name)!.shape) },
        (_, i) => (2 * unit(philox([seed, 77], [i, index.get(name)!, 0, 0])[0]) - 1) * scale,
      );
      yield new Uint8Array(values.buffer);
    },
  };
}
