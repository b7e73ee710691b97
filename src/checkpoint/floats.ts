/** Stored weights of any type as f32, piece by piece. */
import { floatBytes, toFloats } from "../base/float.ts";
import { blockWords, dequantize, type Grouping, groupingOf, isQuantType, quantPanel } from "../base/quant.ts";
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
      const values = dequantize(new Uint32Array(panel.buffer), grouping, inner, quantPanel);
      const live = Math.min(quantPanel, cols - first);
      if (turned && at + live * inner > room.length) {
        yield room.subarray(0, at);
        at = 0;
      }
      for (let n = 0; n < live; n++)
        for (let k = 0; k < inner; k++)
          room[turned ? at + n * inner + k : k * cols + first + n] = values[k * quantPanel + n]!;
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
