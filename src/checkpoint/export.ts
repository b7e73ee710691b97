/** Export: a model becomes a folder in the published layout, which the Hugging Face tools read. */
import { saveFolder } from "../base/atomic.ts";
import type { Disk } from "../base/disk.ts";
import { type FloatType, floatBytes, fromFloats } from "../base/float.ts";
import { isQuantType } from "../base/quant.ts";
import { FloatReader } from "./floats.ts";
import { toHfConfig } from "./hf-config.ts";
import { indexFile, weightsFile } from "./hf-folder.ts";
import { inOrder } from "./layout.ts";
import { writeSafeTensors } from "./safetensors.ts";
import type { ModelSource } from "./source.ts";
import { type TensorInfo, tensorBytes } from "./tensor.ts";

export interface ExportOptions {
  /** Most bytes of tensors in one weight file; default 5 GB (10^9 each), as published models have it. */
  shardBytes?: number;
  /** Called before each tensor is written; what it throws ends the export. */
  progress?: (name: string, bytes: number) => void;
  disk?: Disk;
}

export interface Exported {
  /** Names of the files. */
  files: string[];
  /** Names of tensors that were quantized: in the folder they are the f32 that their codes say. */
  dequantized: string[];
}

/**
 * Writes `folder` whole or not at all: config.json, generation_config.json, weights bit for bit (quantized ones as f32), tokenizer files.
 * @param tokenizerFiles names and texts, as the tokenizer's own folder makes them
 * @throws LolaError "usage" if the folder holds something; whatever reading or saving throws
 */
export async function exportHf(
  source: Pick<ModelSource, "config" | "tensors" | "read">,
  folder: string,
  tokenizerFiles: Readonly<Record<string, string>>,
  options: ExportOptions = {},
): Promise<Exported> {
  const tensors = inOrder(source);
  const dequantized = tensors.filter(({ type }) => isQuantType(type)).map(({ name }) => name);
  const shards = split(tensors.map(asFloats), options.shardBytes ?? 5e9);
  const names = shards.map((_, i) =>
    shards.length === 1 ? weightsFile : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`,
  );
  const texts: Record<string, string> = {
    "config.json": json(toHfConfig(source.config, asFloats(source.tensors.get("wte.weight")!).type)),
    "generation_config.json": json({
      _from_model_config: true,
      bos_token_id: source.config.bos,
      eos_token_id: source.config.eos,
    }),
    ...tokenizerFiles,
  };
  if (shards.length > 1) {
    const total = shards.flat().reduce((sum, { bytes }) => sum + bytes, 0);
    const map = shards.flatMap((shard, i) => shard.map(({ name }) => [published(name), names[i]!] as const));
    texts[indexFile] = json({ metadata: { total_size: total }, weight_map: Object.fromEntries(map) });
  }
  const floats = new FloatReader(source);
  await saveFolder(
    folder,
    async (output) => {
      for (const [i, shard] of shards.entries()) {
        // Signals are heard between files.
        await new Promise(setImmediate);
        await output.file(names[i]!, (file) => {
          const renamed = shard.map((tensor) => ({ ...tensor, name: published(tensor.name), source: tensor.name }));
          writeSafeTensors(file, renamed, ({ source: name, bytes }) => {
            options.progress?.(name, bytes);
            return dequantized.includes(name) ? asBytes(floats.read(name)) : source.read(name);
          });
        });
      }
      for (const [name, text] of Object.entries(texts)) {
        await output.file(name, (file) => file.write(new TextEncoder().encode(text)));
      }
    },
    options.disk,
  );
  return { files: [...names, ...Object.keys(texts)], dequantized };
}

/** A tensor as the published layout can hold it. */
interface FloatTensor extends TensorInfo {
  type: FloatType;
}

function asFloats(tensor: TensorInfo): FloatTensor {
  const type = isQuantType(tensor.type) ? "f32" : tensor.type;
  return { ...tensor, type, bytes: tensorBytes(tensor.name, type, tensor.shape) };
}

function* asBytes(pieces: Iterable<Float32Array>): Generator<Uint8Array> {
  for (const values of pieces) yield fromFloats(values, "f32");
}

/** Fills one file after the other; in each, wider elements come first, so that all lie aligned. */
function split(tensors: readonly FloatTensor[], most: number): FloatTensor[][] {
  const shards: FloatTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensor.bytes > most) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += tensor.bytes;
  }
  return shards.map((shard) => shard.toSorted((a, b) => floatBytes[b.type] - floatBytes[a.type]));
}

const published = (name: string) => `transformer.${name}`;
const digits = (n: number) => String(n).padStart(5, "0");
const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
