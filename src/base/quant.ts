/**
 * Matrices of 8 or 4 bits a weight. A weight is `scale · code + minimum`; the two, f16, serve a group of inputs of one output.
 *
 * A matrix [inner, cols] is cut into panels of 16 columns, a panel into groups of rows, and each of these blocks lies as
 *
 *     16 scales, f16 | 16 minimums, f16 | codes
 *
 * where word [i][c] of 8-bit codes holds rows 4 i … 4 i + 3 of column c from its lowest byte on, and of 4-bit codes rows
 * 8 i … 8 i + 3 in the low halves of its bytes and 8 i + 4 … 8 i + 7 in the high ones. So 16 lanes read a line of 64 bytes,
 * for integer dot products of four terms. What lies beyond `inner` or `cols` is 0. The file, the CPU's memory and the GPU's
 * hold the same words. A table [rows, width] lies as the matrix [width, rows] that the head multiplies with.
 */

/** Columns of a panel. */
export const quantPanel = 16;

/** Bits of a code; inputs that share a scale. */
export interface Grouping {
  bits: 4 | 8;
  group: 32 | 64 | 128;
}

export const quantTypes = ["q8_32", "q8_64", "q8_128", "q4_32", "q4_64", "q4_128"] as const;
export type QuantType = (typeof quantTypes)[number];

export function isQuantType(type: unknown): type is QuantType {
  return quantTypes.includes(type as QuantType);
}

export function groupingOf(type: QuantType): Grouping {
  const [, bits, group] = /^q(\d)_(\d+)$/.exec(type)!;
  return { bits: Number(bits) as Grouping["bits"], group: Number(group) as Grouping["group"] };
}

/** 32-bit words of one block. */
export function blockWords({ bits, group }: Grouping): number {
  return quantPanel + (group * quantPanel * bits) / 32;
}

/** 32-bit words of a matrix [inner, cols]. */
export function matrixWords(grouping: Grouping, inner: number, cols: number): number {
  return Math.ceil(cols / quantPanel) * Math.ceil(inner / grouping.group) * blockWords(grouping);
}

/** Where a block's codes have those of a row: its line of 16 words, and the bits of each from `shift` on. */
export function codePlace(bits: Grouping["bits"], row: number): { line: number; shift: number } {
  return bits === 8 ? { line: row >> 2, shift: 8 * (row & 3) } : { line: row >> 3, shift: 8 * (row & 3) + (row & 4) };
}

/** Where a weight lies: words of its block's beginning, its column's place there, word and shift of its code. */
function place({ bits, group }: Grouping, inner: number, k: number, n: number) {
  const blocks = Math.ceil(inner / group);
  const begin = (Math.floor(n / quantPanel) * blocks + Math.floor(k / group)) * blockWords({ bits, group });
  const column = n % quantPanel;
  const { line, shift } = codePlace(bits, k % group);
  return { begin, column, word: begin + quantPanel + line * quantPanel + column, shift };
}

/** Words of a matrix → f32 [inner, cols], row-major. Exact but for one rounding: scale · code fits f32. */
export function dequantize(words: Uint32Array, grouping: Grouping, inner: number, cols: number): Float32Array {
  const halves = new Float16Array(words.buffer, words.byteOffset, 2 * words.length);
  const mask = 2 ** grouping.bits - 1;
  const values = new Float32Array(inner * cols);
  for (let n = 0; n < cols; n++)
    for (let k = 0; k < inner; k++) {
      const { begin, column, word, shift } = place(grouping, inner, k, n);
      const code = (words[word]! >>> shift) & mask;
      values[k * cols + n] = halves[2 * begin + column]! * code + halves[2 * begin + quantPanel + column]!;
    }
  return values;
}

const { fround } = Math;

/** To the nearest integer, halves to even, as f32 arithmetic does it; 0 ≤ x < 2²². */
const nearest = (x: number) => fround(fround(x + 12_582_912) - 12_582_912);

const code = (value: number, scale: number, minimum: number, levels: number) =>
  scale > 0 ? nearest(Math.min(levels, Math.max(0, fround(fround(value - minimum) / scale)))) : 0;

/** The code whose weight is nearest. */
export function roundTo(value: number, scale: number, minimum: number, bits: Grouping["bits"]): number {
  return code(value, scale, minimum, 2 ** bits - 1);
}

const half = new Float16Array(1);
function toHalf(x: number): number {
  half[0] = Math.min(65_504, Math.max(-65_504, x));
  return half[0]!;
}

/** Grids tried for 4 bits, from 14 to 16 steps over the range; 8 bits need no search. */
const searches = { 4: 21, 8: 1 } as const;

/**
 * Scale, minimum and codes of one group, by weighted least squares over several grids. Every operation is rounded to f32, in
 * the order of the rows, so that the CPU engine and a GPU that divides exactly find the same bytes.
 * @param importance of each value's error, ≥ 0
 */
export function quantizeGroup(
  values: Float32Array,
  importance: Float32Array,
  bits: 4 | 8,
): { scale: number; minimum: number; codes: Uint8Array } {
  const levels = 2 ** bits - 1;
  let low = values[0]!;
  let high = low;
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const range = fround(high - low);
  let best = { scale: 0, minimum: toHalf(low), error: errorOf(values, importance, 0, toHalf(low), levels) };
  for (let j = 0; range > 0 && j < searches[bits]; j++) {
    const steps = searches[bits] > 1 ? fround(levels - 1 + fround(fround(0.1) * j)) : levels;
    const first = fround(range / steps);
    let [sa, sl, sll, sv, slv] = [0, 0, 0, 0, 0];
    for (let k = 0; k < values.length; k++) {
      const l = code(values[k]!, first, low, levels);
      const al = fround(importance[k]! * l);
      sa = fround(sa + importance[k]!);
      sl = fround(sl + al);
      sll = fround(sll + fround(al * l));
      sv = fround(sv + fround(importance[k]! * values[k]!));
      slv = fround(slv + fround(al * values[k]!));
    }
    const det = fround(fround(sa * sll) - fround(sl * sl));
    const scale = toHalf(det > 0 ? fround(fround(fround(sa * slv) - fround(sv * sl)) / det) : first);
    const minimum = toHalf(det > 0 ? fround(fround(fround(sll * sv) - fround(sl * slv)) / det) : low);
    const error = errorOf(values, importance, scale, minimum, levels);
    if (scale > 0 && error < best.error) best = { scale, minimum, error };
  }
  const { scale, minimum } = best;
  return { scale, minimum, codes: Uint8Array.from(values, (v) => code(v, scale, minimum, levels)) };
}

function errorOf(
  values: Float32Array,
  importance: Float32Array,
  scale: number,
  minimum: number,
  levels: number,
): number {
  let error = 0;
  for (let k = 0; k < values.length; k++) {
    const off = fround(fround(fround(scale * code(values[k]!, scale, minimum, levels)) + minimum) - values[k]!);
    error = fround(error + fround(importance[k]! * fround(off * off)));
  }
  return error;
}

/**
 * f32 [inner, cols], row-major → words, in plain loops: what `quant/matrix_quantize` does on a device.
 * @param importance [inner] of each input
 */
export function quantize(
  values: Float32Array,
  grouping: Grouping,
  inner: number,
  cols: number,
  importance = new Float32Array(inner).fill(1),
): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(matrixWords(grouping, inner, cols));
  const halves = new Float16Array(words.buffer);
  for (let n = 0; n < cols; n++)
    for (let from = 0; from < inner; from += grouping.group) {
      const live = Math.min(grouping.group, inner - from);
      const column = Float32Array.from({ length: live }, (_, k) => values[(from + k) * cols + n]!);
      const found = quantizeGroup(column, importance.subarray(from, from + live), grouping.bits);
      for (let k = 0; k < live; k++) {
        const { begin, column, word, shift } = place(grouping, inner, from + k, n);
        halves[2 * begin + column] = found.scale;
        halves[2 * begin + quantPanel + column] = found.minimum;
        words[word]! |= found.codes[k]! << shift;
      }
    }
  return words;
}
