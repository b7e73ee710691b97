/** Models and adapters in memory, of made-up weights. */
import { fromFloats } from "../../src/base/float.ts";
import { groupingOf, isQuantType, quantize } from "../../src/base/quant.ts";
import { philox, unit } from "../../src/base/random.ts";
import { type AdapterConfig, adapterTensors } from "../../src/checkpoint/adapter.ts";
import type { AdapterSource } from "../../src/checkpoint/adapter-file.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import { expectedTensors } from "../../src/checkpoint/layout.ts";
import { quantMatrix } from "../../src/checkpoint/quantized.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { type TensorType, tensorBytes } from "../../src/checkpoint/tensor.ts";
import { elements } from "../../src/device/device.ts";

const provenance = { made: "test", from: "nothing", version: "0", notes: [] };
const identity = "0123456789abcdef".repeat(4);

/** A source's table, and values uniform in ± the scale of their name. */
function made(
  shapes: ReadonlyMap<string, number[]>,
  typeOf: (name: string) => TensorType,
  seed: number,
  scaleOf: (name: string) => number,
) {
  const rows = Array.from(shapes, ([name, shape]) => {
    const type = typeOf(name);
    return [name, { name, type, shape, bytes: tensorBytes(name, type, shape) }] as const;
  });
  const index = new Map(rows.map(([name], i) => [name, i]));
  const values = (name: string) => {
    const data = new Float32Array(elements(shapes.get(name)!));
    for (let i = 0; i < data.length; i += 4)
      for (const [j, word] of philox([seed, 77], [i, index.get(name)!, 0, 0]).entries())
        if (i + j < data.length) data[i + j] = (2 * unit(word) - 1) * scaleOf(name);
    return data;
  };
  return { tensors: new Map(rows), values };
}

/** A model whose rows go to all experts, and whose losses are as smooth as a trained one's. */
export function madeModel(config: ModelConfig, typeOf: (name: string) => TensorType = () => "f32"): ModelSource {
  const scaleOf = (name: string) => (/wte|gate/.test(name) ? 0.6 : /bias|ln_/.test(name) ? 0.1 : 0.25);
  const { tensors, values } = made(expectedTensors(config), typeOf, 1, scaleOf);
  return {
    ...{ label: "made", config, tokenizer: {}, provenance, tensors, notes: [], identity, close() {} },
    *read(name) {
      const { type, shape } = tensors.get(name)!;
      const data = values(name).map((x) => (/ln_\w+\.weight/.test(name) ? 1 + x : x));
      if (!isQuantType(type)) {
        yield fromFloats(data, type);
        return;
      }
      const { inner, cols, turned } = quantMatrix(name, shape);
      const matrix = turned ? data.map((_, i) => data[(i % cols) * inner + Math.floor(i / cols)]!) : data;
      yield new Uint8Array(quantize(matrix, groupingOf(type), inner, cols).buffer);
    },
  };
}

/** Both of an adapter's matrices uniform in ± `scale`. */
export function madeAdapter(model: ModelConfig, adapter: AdapterConfig, scale = 0.1, seed = 1): AdapterSource {
  const { tensors, values } = made(
    adapterTensors(model, adapter),
    () => "f32",
    seed + 1,
    () => scale,
  );
  return {
    ...{ label: "adapter", adapter, provenance, tensors, close() {} },
    base: { identity, name: "made", config: model },
    *read(name) {
      yield fromFloats(values(name), "f32");
    },
  };
}
