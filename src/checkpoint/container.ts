/** A `.lola` file as a table of tensors: opened and read chunk by chunk, or written in one pass. */
import type { Output } from "../base/atomic.ts";
import { DataError } from "../base/errors.ts";
import { Sha256, xxh64 } from "../base/hash.ts";
import type { ByteSource, Reader } from "./bytes.ts";
import { type Chunk, ChunkCoder, padded, writtenChunk } from "./chunk.ts";
import {
  type Contents,
  encodeContents,
  encodePreamble,
  planeWidth,
  preambleBytes,
  readContents,
  type StoredTensor,
} from "./header.ts";
import type { Extent } from "./source.ts";
import { checkName, type TensorInfo, type TensorStream, tensorBytes } from "./tensor.ts";

export interface Container extends Contents {
  /**
   * A tensor's content in order, a chunk at a time, each checked against its hash before it is handed out.
   * A piece is valid until the next step.
   * @param reader another way to the bytes of the file
   * @throws DataError "chunk.…" or "file.padding"
   */
  read(name: string, reader?: Reader): Generator<Uint8Array>;
  /** Where a tensor's content lies in one piece, unchecked. */
  extent(name: string): Extent | undefined;
  close(): void;
}

/** Opens a container; the source is closed by `close`, and when opening fails. */
export function openContainer(source: ByteSource): Container {
  try {
    const contents = readContents(source);
    const idle: Workspace[] = [];
    const read = (name: string, reader?: Reader) => {
      return readTensor(source, contents.tensors.get(name), name, idle, reader);
    };
    const extent = (name: string) => extentOf(source, contents.tensors.get(name));
    return { ...contents, read, extent, close: () => source.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Buffers of one tensor that is being read; kept for the next one. */
interface Workspace {
  reader: Reader;
  coder: ChunkCoder;
}

function* readTensor(
  source: ByteSource,
  tensor: StoredTensor | undefined,
  name: string,
  idle: Workspace[],
  reader?: Reader,
): Generator<Uint8Array> {
  if (!tensor) throw new RangeError(`no tensor ${name}`);
  const workspace = idle.pop() ?? { reader: source.reader(), coder: new ChunkCoder() };
  try {
    for (const [i, chunk] of tensor.chunks.entries()) {
      const where = `${source.label}: ${name} chunk ${i}`;
      const bytes = (reader ?? workspace.reader)(chunk.offset, padded(chunk.stored));
      for (let at = chunk.stored; at < bytes.length; at++) {
        if (bytes[at] !== 0) throw new DataError("file.padding", `${where}: the bytes after it are not zero`);
      }
      yield workspace.coder.unpack(chunk, bytes.subarray(0, chunk.stored), planeWidth(tensor), where);
    }
  } finally {
    idle.push(workspace);
  }
}

/** Raw chunks follow one another without gaps, since all but the last are whole multiples of the alignment. */
function extentOf({ file }: ByteSource, tensor: StoredTensor | undefined): Extent | undefined {
  const [first] = tensor?.chunks ?? [];
  if (file === undefined || !first || tensor!.chunks.some(({ codec }) => codec !== "raw")) return undefined;
  return { file, offset: first.offset };
}

export interface WriteOptions {
  /** `raw` leaves chunks as they are, so that a tensor's content lies in one piece and can be mapped. Default `zstd`. */
  store?: "zstd" | "raw";
}

/**
 * Writes a container in one pass, holding a few chunks in memory.
 * @param tensors in the order of the file
 * @returns the table that was written
 * @throws DataError "tensor.…" for a name or shape that no file may hold, and when the pieces do not add up to the shape
 */
export async function writeContainer(
  output: Output,
  kind: string,
  meta: object,
  tensors: Iterable<TensorStream> | AsyncIterable<TensorStream>,
  options: WriteOptions = {},
): Promise<StoredTensor[]> {
  const coder = new ChunkCoder();
  const buffer = new Uint8Array(writtenChunk);
  const written: StoredTensor[] = [];
  output.write(new Uint8Array(preambleBytes));
  for await (const { name, type, shape, pieces } of tensors) {
    checkName(name);
    const bytes = tensorBytes(name, type, shape);
    const chunks: Chunk[] = [];
    const content = new Sha256();
    const flush = (raw: Uint8Array) => {
      content.update(raw);
      const asIs = { codec: "raw" as const, stored: raw };
      const { codec, stored } = options.store === "raw" ? asIs : coder.pack(raw, planeWidth({ type }));
      chunks.push({ codec, offset: output.length, stored: stored.length, raw: raw.length, hash: xxh64(stored) });
      output.write(stored);
      output.write(new Uint8Array(padded(stored.length) - stored.length));
    };
    let [filled, total] = [0, 0];
    for await (const piece of pieces) {
      total += piece.length;
      for (let taken = 0; taken < piece.length; ) {
        const count = Math.min(buffer.length - filled, piece.length - taken);
        buffer.set(piece.subarray(taken, taken + count), filled);
        taken += count;
        filled += count;
        if (filled === buffer.length) {
          flush(buffer);
          filled = 0;
        }
      }
    }
    if (filled > 0) flush(buffer.subarray(0, filled));
    if (total !== bytes)
      throw new DataError(
        "tensor.length",
        `${name}: ${total} bytes came, its shape [${shape.join(", ")}] takes ${bytes}`,
      );
    written.push({ name, type, shape, bytes, sha256: content.hex(), chunks });
  }
  const header = encodeContents(kind, meta, written);
  const offset = output.length;
  output.write(header);
  output.patch(encodePreamble(header, offset), 0);
  return written;
}

/** Bytes of the file that `writeContainer` makes of such tensors with `store: "raw"`; with zstd it is no larger. */
export function containerBytes(kind: string, meta: object, tensors: readonly TensorInfo[]): number {
  let end = preambleBytes;
  const stored = tensors.map((tensor): StoredTensor => {
    const chunks: Chunk[] = [];
    for (let left = tensor.bytes; left > 0; left -= writtenChunk) {
      const length = Math.min(left, writtenChunk);
      chunks.push({ codec: "raw", offset: end, stored: length, raw: length, hash: "0".repeat(16) });
      end += padded(length);
    }
    return { ...tensor, sha256: "0".repeat(64), chunks };
  });
  return end + encodeContents(kind, meta, stored).length;
}
