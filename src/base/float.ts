/** Conversions between f32 and the 16-bit floating-point formats, exact and rounded to nearest even. */

/** f16 bits [n] → f32 [n]. */
export function halvesToFloats(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  target.set(new Float16Array(source.buffer, source.byteOffset, source.length));
  return target;
}

/** f32 [n] → f16 bits [n], nearest even. */
export function floatsToHalves(source: Float32Array, target = new Uint16Array(source.length)): Uint16Array {
  new Float16Array(target.buffer, target.byteOffset, target.length).set(source);
  return target;
}

/** bf16 bits [n] → f32 [n]; exact. */
export function brainsToFloats(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
  return target;
}

/** f32 [n] → bf16 bits [n], nearest even; NaN stays NaN. */
export function floatsToBrains(source: Float32Array, target = new Uint16Array(source.length)): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    const b = bits[i]!;
    target[i] = (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return target;
}

/** Element types of stored weights; those of quantized ones are in `quant.ts`. */
export type FloatType = "f32" | "f16" | "bf16";

/** Bytes of one element. */
export const floatBytes: Record<FloatType, number> = { f32: 4, f16: 2, bf16: 2 };

/**
 * Stored little-endian bytes of any float type → f32 [n]. The bytes may be unaligned.
 * @param target takes the result, where there is something to convert; at least n long
 */
export function toFloats(bytes: Uint8Array, type: FloatType, target?: Float32Array<ArrayBuffer>): Float32Array {
  const aligned = bytes.byteOffset % floatBytes[type] === 0 ? bytes : bytes.slice();
  const n = aligned.byteLength / floatBytes[type];
  if (type === "f32") return new Float32Array(aligned.buffer, aligned.byteOffset, n);
  const raw = new Uint16Array(aligned.buffer, aligned.byteOffset, n);
  const result = target?.subarray(0, n);
  return type === "f16" ? halvesToFloats(raw, result) : brainsToFloats(raw, result);
}

/**
 * f32 [n] → stored little-endian bytes of any float type.
 * @param target takes the result, where there is something to convert; at least n long
 */
export function fromFloats(values: Float32Array, type: FloatType, target?: Uint16Array<ArrayBuffer>): Uint8Array {
  const result = target?.subarray(0, values.length);
  const raw =
    type === "f32" ? values : type === "f16" ? floatsToHalves(values, result) : floatsToBrains(values, result);
  return new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
}
