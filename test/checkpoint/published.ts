/** Folders in the published layout, made for tests. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DataError } from "../../src/base/errors.ts";
import type { FloatType } from "../../src/base/float.ts";
import type { ParseTokenizer } from "../../src/checkpoint/hf-folder.ts";
import { indexFile, weightsFile } from "../../src/checkpoint/hf-folder.ts";
import { writeSafeTensors } from "../../src/checkpoint/safetensors.ts";
import { tensorBytes } from "../../src/checkpoint/tensor.ts";
import { hfConfig, memoryOutput, tinyTensors, tinyTokenizer } from "./tiny.ts";

/** A tensor with its content, under the name it has in the file. */
export interface Whole {
  name: string;
  type: FloatType;
  shape: number[];
  content: Uint8Array;
}

/** The tiny model's tensors under their published names. */
export function publishedTensors(type: FloatType = "f32"): Whole[] {
  return Array.from(tinyTensors(type), ({ name, shape, pieces }) => {
    const [content] = pieces as Uint8Array[];
    return { name: `transformer.${name}`, type, shape, content: content! };
  });
}

export function safeTensorsBytes(tensors: readonly Whole[]): Uint8Array {
  const output = memoryOutput();
  const plan = tensors.map((tensor) => ({ ...tensor, bytes: tensorBytes(tensor.name, tensor.type, tensor.shape) }));
  writeSafeTensors(output, plan, (tensor) => [tensor.content]);
  return output.bytes();
}

export interface Publishing {
  tensors?: Whole[];
  config?: Record<string, unknown>;
  /** Weight files; more than one makes an index. */
  shards?: number;
}

/** Writes a folder and returns it. */
export function publish(
  folder: string,
  { tensors = publishedTensors(), config = {}, shards = 1 }: Publishing = {},
): string {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
  write("config.json", JSON.stringify({ ...hfConfig, ...config }));
  write("tokenizer.json", JSON.stringify(tinyTokenizer));
  if (shards === 1) write(weightsFile, safeTensorsBytes(tensors));
  else {
    const map: Record<string, string> = {};
    for (let i = 0; i < shards; i++) {
      const name = `model-${i + 1}-of-${shards}.safetensors`;
      const part = tensors.filter((_, k) => k % shards === i);
      for (const tensor of part) map[tensor.name] = name;
      write(name, safeTensorsBytes(part));
    }
    write(indexFile, JSON.stringify({ metadata: {}, weight_map: map }));
  }
  return folder;
}

/** The tests' own idea of a tokenizer: six tokens in a JSON file. */
export const parseTokenizer: ParseTokenizer = ({ "tokenizer.json": text }) => {
  if (text === "bad") throw new DataError("tokenizer.bad", "no tokenizer");
  return { data: JSON.parse(text!), size: 6 };
};
