/** Tensors as files hold them: a name, an element type, a shape, little-endian bytes. */
import { DataError } from "../base/errors.ts";
import { type FloatType, floatBytes } from "../base/float.ts";

/** Element types that a file may hold: the closed list. */
export type TensorType = FloatType;

export function isTensorType(value: unknown): value is TensorType {
  return typeof value === "string" && Object.hasOwn(floatBytes, value);
}

export interface TensorInfo {
  name: string;
  type: TensorType;
  /** Row-major, outermost first. */
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
 * @throws DataError "tensor.shape" for more than 8 dimensions, a dimension that is no positive integer, or 2^53 bytes and more
 */
export function tensorBytes(name: string, type: TensorType, shape: readonly number[]): number {
  let bytes = floatBytes[type];
  if (shape.length > maximumRank)
    throw new DataError("tensor.shape", `${name}: ${shape.length} dimensions, at most ${maximumRank}`);
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(size) || size < 1 || !Number.isSafeInteger(bytes)) {
      throw new DataError("tensor.shape", `${name}: shape [${shape.join(", ")}] is not possible`);
    }
  }
  return bytes;
}
