/** Conversions between f32 and the 16-bit floating-point formats, exact and rounded to nearest even. */

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** IEEE half-precision bits → number. */
export function halfToFloat(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** number → IEEE half-precision bits, nearest even; overflow becomes infinity. */
export function floatToHalf(value: number): number {
  f32[0] = value;
  const bits = u32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal in f16: scale so that one unit is 2^-24, and round to nearest even.
    const scaled = Math.abs(f32[0]!) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    return sign | (rest > 0.5 || (rest === 0.5 && floor & 1) ? floor + 1 : floor);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

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

/** Element types of stored weights. Quantized types join them in `src/quantize`. */
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
