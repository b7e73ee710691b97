/** Matrices as the kernels read them: panels of a few columns, each one a stream (`panelColumns`). */
import { panelColumns } from "../../../kernels/kernel.ts";
import { elements, storageBytes, type TensorSpec } from "../device.ts";

/** Rows that are packed together: few enough to stay in a cache. */
const rowsTogether = 64;

/** Bytes that lie together in both layouts, and where; valid until the next one is asked for. */
export interface Run {
  /** Byte offset in the packed tensor. */
  at: number;
  bytes: Uint8Array;
}

/** How a tensor of shape [.., inner, cols] is cut into panels. */
export class Panels {
  /** Words of a panel's row, of a whole row. */
  private readonly panelWords: number;
  private readonly rowWords: number;
  private readonly inner: number;

  private constructor(spec: TensorSpec) {
    const [inner, cols] = spec.shape.slice(-2) as [number, number];
    const perWord = 4 / storageBytes[spec.type];
    this.inner = inner;
    this.panelWords = panelColumns / perWord;
    this.rowWords = cols / perWord;
  }

  /** Nothing for tensors that stay row-major. */
  static of(spec: TensorSpec): Panels | undefined {
    const [rows = 1, cols = 1] = spec.shape.slice(-2);
    const cut = spec.layout === "matrix" && rows > 1 && cols > panelColumns && cols % panelColumns === 0;
    return cut && elements(spec.shape) > 0 ? new Panels(spec) : undefined;
  }

  /** Logical bytes from offset `at` on → the runs that they are in the packed tensor. */
  *pack(bytes: Uint8Array, at: number): Generator<Run> {
    const rowBytes = this.rowWords * 4;
    while (bytes.length > 0) {
      const row = Math.floor(at / rowBytes);
      const into = at % rowBytes;
      // Whole rows of one matrix together, else the rest of a row.
      const left = Math.min(rowsTogether, this.inner - (row % this.inner));
      const rows = into > 0 ? 0 : Math.min(Math.floor(bytes.length / rowBytes), left);
      const taken = rows > 0 ? rows * rowBytes : Math.min(bytes.length, rowBytes - into);
      const piece = bytes.subarray(0, taken);
      if (rows > 0) yield* this.rows(piece, row, rows);
      else yield* this.partOfRow(piece, row, into);
      bytes = bytes.subarray(taken);
      at += taken;
    }
  }

  /** Byte offset of a panel's row. */
  private place(row: number, panel: number): number {
    const matrix = Math.floor(row / this.inner);
    const word = matrix * this.inner * this.rowWords + (panel * this.inner + (row % this.inner)) * this.panelWords;
    return word * 4;
  }

  private *rows(bytes: Uint8Array, row: number, count: number): Generator<Run> {
    const { panelWords, rowWords } = this;
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
    const source = new Uint32Array(aligned.buffer, aligned.byteOffset, count * rowWords);
    const packed = new Uint32Array(count * panelWords);
    for (let panel = 0; panel * panelWords < rowWords; panel++) {
      for (let r = 0; r < count; r++) {
        const from = r * rowWords + panel * panelWords;
        const to = r * panelWords;
        for (let i = 0; i < panelWords; i++) packed[to + i] = source[from + i]!;
      }
      yield { at: this.place(row, panel), bytes: new Uint8Array(packed.buffer) };
    }
  }

  private *partOfRow(bytes: Uint8Array, row: number, into: number): Generator<Run> {
    const width = this.panelWords * 4;
    for (let done = 0; done < bytes.length; ) {
      const panel = Math.floor((into + done) / width);
      const offset = (into + done) % width;
      const piece = bytes.subarray(done, done + width - offset);
      yield { at: this.place(row, panel) + offset, bytes: piece };
      done += piece.length;
    }
  }

  /** A whole packed tensor → its logical bytes. */
  unpack(bytes: Uint8Array): Uint8Array {
    const packed = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const logical = new Uint32Array(packed.length);
    const { panelWords, rowWords } = this;
    for (let row = 0; row * rowWords < packed.length; row++)
      for (let panel = 0; panel * panelWords < rowWords; panel++) {
        const from = this.place(row, panel) / 4;
        const to = row * rowWords + panel * panelWords;
        for (let i = 0; i < panelWords; i++) logical[to + i] = packed[from + i]!;
      }
    return new Uint8Array(logical.buffer);
  }
}
