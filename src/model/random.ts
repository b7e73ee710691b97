/** Random weights of any shape: what benches run where no trained model of that size is at hand. */
import { createCipheriv } from "node:crypto";
import { type FloatType, fromFloats } from "../base/float.ts";
import { sha256 } from "../base/hash.ts";
import { blockWords, groupingOf, isQuantType, type QuantType, quantPanel } from "../base/quant.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import { quantMatrix } from "../checkpoint/quantized.ts";
import { type TensorType, tensorBytes } from "../checkpoint/tensor.ts";
import { elements } from "../device/device.ts";
import type { WeightSource } from "./weights.ts";

/** Weights lie within ± this. */
const bound = 0.03;
/** Different values of a float. */
const values16 = 2 ** 16;

/**
 * Weights uniform in ±0.03 (norm weights 1, biases 0), the same for the same names, shapes and types; quantized ones have
 * random codes on a grid over that range, so nothing is searched. The bits are those of AES-128 in counter mode under a key
 * from the tensor's name, which processors make at the speed of memory; 16 of them make a float.
 * @param typeOf of each tensor, by name
 */
export function randomWeights(config: ModelConfig, typeOf: (name: string) => TensorType): WeightSource {
  const tensors = new Map(
    Array.from(expectedTensors(config), ([name, shape]) => {
      const type = typeOf(name);
      return [name, { name, type, shape, bytes: tensorBytes(name, type, shape) }];
    }),
  );
  const tables = new Map<FloatType, Float32Array | Uint16Array>();
  const tableOf = (type: FloatType) => {
    const table = tables.get(type) ?? uniformTable(type);
    tables.set(type, table);
    return table;
  };
  return {
    tensors,
    *read(name) {
      const { type, shape } = tensors.get(name)!;
      if (isQuantType(type)) yield* randomBlocks(name, type, shape);
      else if (/ln_\w+\.weight$/.test(name)) yield fromFloats(new Float32Array(elements(shape)).fill(1), type);
      else if (name.endsWith(".bias")) yield fromFloats(new Float32Array(elements(shape)), type);
      else yield* randomFloats(name, elements(shape), tableOf(type));
    },
  };
}

/** Fills arrays with random bits, one after the other. */
function randomBits(name: string): (target: Uint8Array) => void {
  const cipher = createCipheriv("aes-128-ctr", Buffer.from(sha256(name), "hex").subarray(0, 16), Buffer.alloc(16));
  let zeros = new Uint8Array(0);
  return (target) => {
    if (zeros.length < target.length) zeros = new Uint8Array(target.length);
    target.set(cipher.update(zeros.subarray(0, target.length)));
  };
}

/** Each 16 bits' weight, as stored. */
function uniformTable(type: FloatType): Float32Array | Uint16Array {
  const floats = Float32Array.from({ length: values16 }, (_, i) => bound * ((2 * i + 1) / values16 - 1));
  return type === "f32" ? floats : new Uint16Array(fromFloats(floats, type).buffer);
}

function* randomFloats(name: string, size: number, table: Float32Array | Uint16Array): Generator<Uint8Array> {
  const fill = randomBits(name);
  const bits = new Uint16Array(table.length);
  const weights = table.slice();
  for (let at = 0; at < size; at += bits.length) {
    const n = Math.min(bits.length, size - at);
    fill(new Uint8Array(bits.buffer, 0, 2 * n));
    for (let i = 0; i < n; i++) weights[i] = table[bits[i]!]!;
    yield new Uint8Array(weights.buffer, 0, n * weights.BYTES_PER_ELEMENT);
  }
}

/** Blocks of random codes, a panel at a time; what lies beyond the matrix is 0. */
function* randomBlocks(name: string, type: QuantType, shape: readonly number[]): Generator<Uint8Array> {
  const grouping = groupingOf(type);
  const { inner, cols } = quantMatrix(name, shape);
  const words = blockWords(grouping);
  const fill = randomBits(name);
  const panel = new Uint32Array(Math.ceil(inner / grouping.group) * words);
  for (let first = 0; first < cols; first += quantPanel) {
    const live = Math.min(quantPanel, cols - first);
    const grid = uniformGrid(grouping.bits, live);
    fill(new Uint8Array(panel.buffer));
    for (let at = 0, rows = inner; at < panel.length; at += words, rows -= grouping.group) {
      const block = panel.subarray(at, at + words);
      block.set(grid);
      if (rows < grouping.group || live < quantPanel) clearBeyond(block, grouping.bits, rows, live);
    }
    yield new Uint8Array(panel.buffer);
  }
}

/** Scales and minimums of `live` columns whose codes lie evenly in the range. */
function uniformGrid(bits: 4 | 8, live: number): Uint32Array {
  const halves = new Float16Array(2 * quantPanel);
  halves.fill((2 * bound) / (2 ** bits - 1), 0, live);
  halves.fill(-bound, quantPanel, quantPanel + live);
  return new Uint32Array(halves.buffer);
}

/** Zeroes the codes of a block beyond its first `rows` inputs and `live` columns. */
function clearBeyond(block: Uint32Array, bits: 4 | 8, rows: number, live: number): void {
  const ofWord = 32 / bits;
  for (let at = quantPanel, k = 0; at < block.length; at += quantPanel, k += ofWord) {
    let mask = 0;
    // Inputs 4 to 7 of a word of 4-bit codes are the high halves of its bytes.
    for (let i = 0; i < Math.min(ofWord, rows - k); i++) mask |= (2 ** bits - 1) << (8 * (i & 3) + (i & 4));
    for (let c = 0; c < quantPanel; c++) block[at + c]! &= c < live ? mask : 0;
  }
}
