/** Tensors as files hold them: a name, a type, a shape, little-endian bytes. */
import { DataError } from "../base/errors.ts";
import { type FloatType, floatBytes } from "../base/float.ts";
import { isQuantType, type QuantType } from "../base/quant.ts";
import { quantBytes } from "./quantized.ts";

/** Types that a file may hold: the closed list. Of a quantized tensor the content is its words (src/base/quant.ts). */
export type TensorType = FloatType | QuantType;

export function isTensorType(value: unknown): value is TensorType {
  return typeof value === "string" && (Object.hasOwn(floatBytes, value) || isQuantType(value));
}

export interface TensorInfo {
  name: string;
  type: TensorType;
  /** Row-major, outermost first; of a quantized tensor, the shape of what it says. */
  shape: number[];
  /** Length of the little-endian content. */
  bytes: number;
}

/** A tensor on its way into a file. */
export interface TensorStream extends Omit<TensorInfo, "bytes"> {
  /** The content in order, in pieces of any length; a piece need only be valid until the next step. */
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

const namePattern = /^[a-z0-9._]{1,128}$/;
const maximumRank = 8;

/** Refuses names outside `[a-z0-9._]{1,128}`. */
export function checkName(name: string): void {
  if (!namePattern.test(name)) {
    throw new DataError(
      "tensor.name",
      `tensor name ${JSON.stringify(name.slice(0, 140))} is not [a-z0-9._], 1 to 128 bytes`,
    );
  }
}

/**
 * Bytes of a tensor's content.
 * @throws DataError "tensor.shape" for more than 8 dimensions, a dimension that is no positive integer, or 2^53 bytes and more;
 *   "tensor.quantized" for a quantized tensor that may not be one
 */
export function tensorBytes(name: string, type: TensorType, shape: readonly number[]): number {
  if (shape.length > maximumRank)
    throw new DataError("tensor.shape", `${name}: ${shape.length} dimensions, at most ${maximumRank}`);
  const width = isQuantType(type) ? 1 : floatBytes[type];
  const elements = shape.reduce((product, size) => (size >= 1 ? product * size : Number.NaN), 1);
  const fits = shape.every(Number.isSafeInteger) && Number.isSafeInteger(elements * width);
  const bytes = fits && isQuantType(type) ? quantBytes(name, type, shape) : elements * width;
  if (!fits || !Number.isSafeInteger(bytes))
    throw new DataError("tensor.shape", `${name}: shape [${shape.join(", ")}] is not possible`);
  return bytes;
}
