/** A model small enough to be made, bent and read thousands of times. */
import type { Output } from "../../src/base/atomic.ts";
import { fromFloats } from "../../src/base/float.ts";
import { sha256 } from "../../src/base/hash.ts";
import { groupingOf, isQuantType, type QuantType, quantize } from "../../src/base/quant.ts";
import { memoryBytes } from "../../src/checkpoint/bytes.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import { type WriteOptions, writeContainer } from "../../src/checkpoint/container.ts";
import { formatVersion, magic, preambleBytes } from "../../src/checkpoint/header.ts";
import { expectedTensors } from "../../src/checkpoint/layout.ts";
import { type LolaFile, openLola } from "../../src/checkpoint/lola-file.ts";
import { decode } from "../../src/checkpoint/msgpack.ts";
import { quantMatrix, weightKind } from "../../src/checkpoint/quantized.ts";
import type { TensorStream, TensorType } from "../../src/checkpoint/tensor.ts";

export const tinyConfig: ModelConfig = {
  family: "lola_v1",
  vocabulary: 24,
  context: 8,
  width: 8,
  layers: 2,
  heads: 2,
  inner: 16,
  experts: 2,
  normEpsilon: 1e-5,
  bos: 0,
  eos: 5,
  pad: 1,
};

export const tinyTokenizer = {
  vocabulary: ["<s>", "<pad>", "</s>", "Ġa", "é", "<|endoftext|>"],
  merges: ["Ġ a"],
  nested: [{ id: 0 }],
};

/**
 * Weights as a trained model has them: small, of a few values, so that zstd helps. Depends on the seed alone.
 * @param type one that only matrices may have leaves the others f32
 */
export function* tinyTensors(type: TensorType = "f32", config = tinyConfig, seed = 1): Generator<TensorStream> {
  let state = seed;
  for (const [name, shape] of expectedTensors(config)) {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return ((state >>> 24) - 128) / 1024;
    });
    const float = isQuantType(type) ? "f32" : type;
    if (isQuantType(type) && weightKind(name))
      yield { name, type, shape, pieces: [quantizedBytes(name, type, shape, values)] };
    else yield { name, type: float, shape, pieces: [fromFloats(values, float)] };
  }
}

/** Content of a matrix in a quantized type. */
export function quantizedBytes(
  name: string,
  type: QuantType,
  shape: readonly number[],
  values: Float32Array,
): Uint8Array {
  const { inner, cols, turned } = quantMatrix(name, shape);
  const rows = values.map((_, i) => values[turned ? (i % cols) * inner + Math.floor(i / cols) : i]!);
  return new Uint8Array(quantize(rows, groupingOf(type), inner, cols).buffer);
}

/** An output that gathers bytes in memory. */
export function memoryOutput(): Output & { bytes(): Uint8Array } {
  let buffer = new Uint8Array(1 << 16);
  let length = 0;
  return {
    get length() {
      return length;
    },
    write(bytes) {
      if (length + bytes.length > buffer.length) {
        const larger = new Uint8Array(2 * (length + bytes.length));
        larger.set(buffer);
        buffer = larger;
      }
      buffer.set(bytes, length);
      length += bytes.length;
    },
    patch: (bytes, position) => buffer.set(bytes, position),
    bytes: () => buffer.slice(0, length),
  };
}

const provenance = { made: "import", from: "test", version: "0", notes: [] };

/** A valid file of the tiny model. */
export async function tinyFile(
  type: TensorType = "f32",
  options: WriteOptions = {},
  seed = 1,
  config = tinyConfig,
): Promise<Uint8Array> {
  const output = memoryOutput();
  const meta = { config, tokenizer: tinyTokenizer, provenance };
  await writeContainer(output, "model", meta, tinyTensors(type, config, seed), options);
  return output.bytes();
}

export type Row = [
  name: string,
  type: string,
  shape: number[],
  sha256: string,
  chunks: [string, number, number, string][],
];
export interface Header {
  kind: string;
  meta: { config: Record<string, unknown>; tokenizer: unknown; provenance: Record<string, unknown> };
  optional: string[];
  required: string[];
  tensors: Row[];
}

/** A file taken apart: its chunk area, from byte 256 on, and its header, as a value. */
export function takeApart(file: Uint8Array): { chunks: Uint8Array; header: Header } {
  const offset = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(8, true));
  return { chunks: file.slice(preambleBytes, offset), header: decode(file.subarray(offset)) as Header };
}

/** A file put together with valid lengths and hash, whatever its header holds. */
export function putTogether(chunks: Uint8Array, header: Uint8Array): Uint8Array {
  const file = new Uint8Array(preambleBytes + chunks.length + header.length);
  const view = new DataView(file.buffer);
  file.set(magic);
  view.setUint16(6, formatVersion, true);
  view.setBigUint64(8, BigInt(preambleBytes + chunks.length), true);
  view.setBigUint64(16, BigInt(header.length), true);
  file.set(Uint8Array.fromHex(sha256(header)), 24);
  file.set(chunks, preambleBytes);
  file.set(header, preambleBytes + chunks.length);
  return file;
}

/** Opens a file in memory and reads all of it, as a run of the model would; `verify` checks the tensors' hashes too. */
export function readAll(file: Uint8Array, verify = false): LolaFile {
  const model = openLola(memoryBytes(file, "test.lola"));
  if (verify) model.verify();
  else
    for (const name of model.tensors.keys())
      for (const piece of model.read(name)) if (piece.length === 0) throw new Error("empty");
  return model;
}

/** The config.json of a published folder of the tiny model. */
export const hfConfig: Record<string, unknown> = {
  activation_function: "gelu_fast",
  bos_token_id: 0,
  eos_token_id: 5,
  layer_norm_epsilon: 1e-5,
  model_type: "lola_v1",
  n_embd: 8,
  n_head: 2,
  n_inner: 16,
  n_layer: 2,
  n_positions: 8,
  num_experts: 2,
  scale_attn_weights: true,
  topk: 1,
  torch_dtype: "float32",
  vocab_size: 24,
};

/** Time of one call in ms; one above `limit` is measured again, up to three times, since the machine may have been busy. */
export function timed(action: () => void, limit: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 4 && best >= limit; tries++) {
    const start = performance.now();
    action();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
