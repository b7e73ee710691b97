/** Stored weights of any type as f32, piece by piece. */
import { floatBytes, toFloats } from "../base/float.ts";
import { blockWords, type Grouping, groupingOf, isQuantType, quantPanel } from "../base/quant.ts";
import { type QuantMatrix, quantMatrix } from "./quantized.ts";
import type { ModelSource } from "./source.ts";

/** f32 of one piece: what a piece of 4 MiB of f16 makes. */
const pieceFloats = 2 << 20;

/** Reads one tensor after the other, in a buffer that is kept. */
export class FloatReader {
  private buffer = new Float32Array(0);

  constructor(private readonly source: Pick<ModelSource, "tensors" | "read">) {}

  /**
   * A tensor's elements in row-major order as f32, exactly; a piece is valid until the next step.
   * A quantized matrix that is no table is held whole, since its panels lie across its rows.
   * @throws DataError if the file is damaged
   */
  *read(name: string): Generator<Float32Array> {
    const { type, shape } = this.source.tensors.get(name)!;
    if (isQuantType(type)) {
      yield* this.dequantized(name, groupingOf(type), quantMatrix(name, shape));
      return;
    }
    for (const piece of this.source.read(name)) yield toFloats(piece, type, this.room(piece.length / floatBytes[type]));
  }

  private *dequantized(
    name: string,
    grouping: Grouping,
    { inner, cols, turned }: QuantMatrix,
  ): Generator<Float32Array> {
    const words = Math.ceil(inner / grouping.group) * blockWords(grouping);
    const room = this.room(turned ? Math.max(pieceFloats, inner * quantPanel) : inner * cols);
    let [at, first] = [0, 0];
    for (const panel of regrouped(this.source.read(name), 4 * words)) {
      const live = Math.min(quantPanel, cols - first);
      if (turned && at + live * inner > room.length) {
        yield room.subarray(0, at);
        at = 0;
      }
      const place = turned ? { begin: at, row: 1, column: inner } : { begin: first, row: cols, column: 1 };
      dequantizePanel(new Uint32Array(panel.buffer), grouping, inner, live, room, place);
      at += live * inner;
      first += live;
    }
    yield room.subarray(0, at);
  }

  private room(floats: number): Float32Array<ArrayBuffer> {
    if (this.buffer.length < floats) this.buffer = new Float32Array(floats);
    return this.buffer;
  }
}

/** Bytes in pieces of exactly `size`; each is valid until the next step. */
function* regrouped(pieces: Iterable<Uint8Array>, size: number): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(size);
  let filled = 0;
  for (const piece of pieces)
    for (let taken = 0; taken < piece.length; ) {
      const count = Math.min(size - filled, piece.length - taken);
      buffer.set(piece.subarray(taken, taken + count), filled);
      taken += count;
      filled += count;
      if (filled < size) continue;
      yield buffer;
      filled = 0;
    }
}

/** Where a panel's weight of row k and column n goes: `begin + k · row + n · column`. */
interface Place {
  begin: number;
  row: number;
  column: number;
}

/** What `dequantize` of `src/base/quant.ts` says of one panel [inner, cols], line by line of its words. */
function dequantizePanel(
  words: Uint32Array<ArrayBuffer>,
  grouping: Grouping,
  inner: number,
  cols: number,
  target: Float32Array,
  { begin, row, column }: Place,
): void {
  const { bits, group } = grouping;
  const [size, each, mask] = [blockWords(grouping), 32 / bits, 2 ** bits - 1];
  const halves = new Float16Array(words.buffer);
  const grid = new Float32Array(2 * quantPanel);
  for (let from = 0, block = 0; from < inner; from += group, block += size) {
    for (let i = 0; i < grid.length; i++) grid[i] = halves[2 * block + i]!;
    const end = Math.min(inner, from + group);
    for (let k = from, line = block + quantPanel; k < end; k += each, line += quantPanel) {
      const some = Math.min(each, end - k);
      for (let n = 0; n < cols; n++) {
        const word = words[line + n]!;
        const [scale, minimum] = [grid[n]!, grid[quantPanel + n]!];
        let to = begin + k * row + n * column;
        for (let i = 0; i < some; i++, to += row)
          target[to] = scale * ((word >>> (8 * (i & 3) + (i & 4))) & mask) + minimum;
      }
    }
  }
}
