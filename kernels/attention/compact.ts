/**
 * Rows of a compact cache: the keys or values of one position in one head, D channels, in half or a quarter of f32's bytes.
 *
 *     16 bits: an f16 each; numbers beyond ±65504 are kept as those
 *      8 bits: signed codes, |code| ≤ 127, then an f16 scale for each 32 channels; a channel is scale · code
 *
 * Channels go by fours into whole words, scales by twos; what lies beyond D is 0. A group that holds what is no finite number
 * is no number, so that a broken model is noticed.
 */

/** Bits of a channel. */
export type CompactBits = 16 | 8;

/** Channels that share a scale, in 8 bits. */
export const compactGroup = 32;

/** 32-bit words of a row. */
export function compactWords(bits: number, size: number): number {
  const quads = Math.ceil(size / 4);
  return bits === 16 ? 2 * quads : quads + Math.ceil(size / compactGroup / 2);
}

const { fround } = Math;
const most = 65_504;

/** To the nearest f16, within its range. */
const nearestHalf = (x: number) => Math.f16round(Math.min(most, Math.max(-most, x)));

/** To the nearest integer, halves to even, as f32 arithmetic does it; |x| < 2²². */
const nearest = (x: number) => fround(fround(x + 12_582_912) - 12_582_912);

/** Writes one row, f32 [D], at word `at`. Every operation is rounded to f32, so that all engines find the same words. */
export function packRow(row: ArrayLike<number>, bits: number, words: Uint32Array, at: number): void {
  const size = row.length;
  const begin = words.byteOffset + 4 * at;
  words.fill(0, at, at + compactWords(bits, size));
  if (bits === 16) {
    const halves = new Float16Array(words.buffer, begin, size);
    for (let d = 0; d < size; d++) halves[d] = Number.isFinite(row[d]) ? nearestHalf(row[d]!) : Number.NaN;
    return;
  }
  const codes = new Int8Array(words.buffer, begin, size);
  const scales = new Float16Array(words.buffer, begin + 4 * Math.ceil(size / 4), Math.ceil(size / compactGroup));
  for (let from = 0; from < size; from += compactGroup) {
    const values = Array.from({ length: Math.min(compactGroup, size - from) }, (_, i) => row[from + i]!);
    if (!values.every(Number.isFinite)) {
      scales[from / compactGroup] = Number.NaN;
      continue;
    }
    const highest = values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    const scale = nearestHalf(fround(highest * fround(1 / 127)));
    const inverse = scale > 0 ? fround(1 / scale) : 0;
    scales[from / compactGroup] = scale;
    for (const [i, v] of values.entries())
      codes[from + i] = nearest(Math.min(127, Math.max(-127, fround(v * inverse))));
  }
}

/** Reads the row of D channels at word `at`: f32 [D]. */
export function unpackRow(words: Uint32Array, bits: number, size: number, at: number): Float32Array {
  const begin = words.byteOffset + 4 * at;
  if (bits === 16) return Float32Array.from(new Float16Array(words.buffer, begin, size));
  const codes = new Int8Array(words.buffer, begin, size);
  const scales = new Float16Array(words.buffer, begin + 4 * Math.ceil(size / 4), Math.ceil(size / compactGroup));
  return Float32Array.from(codes, (code, d) => code * scales[Math.floor(d / compactGroup)]!);
}
