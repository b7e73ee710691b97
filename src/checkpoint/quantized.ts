/** Which tensors may be quantized, and what matrix each is: the closed list of FORMAT.md. */
import { DataError } from "../base/errors.ts";
import { groupingOf, matrixWords, type QuantType } from "../base/quant.ts";

/** Weights by what they do, from the fewest tokens that use one to the most. */
export const weightKinds = ["experts", "dense", "attention", "embedding"] as const;
export type WeightKind = (typeof weightKinds)[number];

const patterns: Record<WeightKind, RegExp> = {
  experts: /^h\.\d+\.moe\.experts\.\d+\.c_(fc|proj)\.weight$/,
  dense: /^h\.\d+\.mlp\.c_(fc|proj)\.weight$/,
  attention: /^h\.\d+\.attn\.c_(attn|proj)\.weight$/,
  embedding: /^wte\.weight$/,
};

/** What a matrix that may be quantized belongs to; undefined for the gate, norms, biases and positions, which never are. */
export function weightKind(name: string): WeightKind | undefined {
  return weightKinds.find((kind) => patterns[kind].test(name));
}

/** A stored shape as a matrix [inner, cols] of blocks. */
export interface QuantMatrix {
  inner: number;
  cols: number;
  /** The stored rows are the matrix's columns: a table [rows, width] is the matrix [width, rows] that the head multiplies with. */
  turned: boolean;
}

/**
 * The matrix that a tensor is, or would be, quantized as.
 * @throws DataError "tensor.quantized" for a name or a rank that is never quantized
 */
export function quantMatrix(name: string, shape: readonly number[]): QuantMatrix {
  const kind = weightKind(name);
  const [first, second] = shape;
  if (!kind || first === undefined || second === undefined || shape.length !== 2)
    throw new DataError("tensor.quantized", `${name} [${shape.join(", ")}] is no matrix that may be quantized`);
  return kind === "embedding"
    ? { inner: second, cols: first, turned: true }
    : { inner: first, cols: second, turned: false };
}

/** Bytes of a quantized tensor's content. @throws DataError "tensor.quantized" */
export function quantBytes(name: string, type: QuantType, shape: readonly number[]): number {
  const { inner, cols } = quantMatrix(name, shape);
  return 4 * matrixWords(groupingOf(type), inner, cols);
}
