/** Chunks: pieces of a tensor's content as they are stored, each with its own codec, lengths and hash. */
import { DataError } from "../base/errors.ts";
import { xxh64 } from "../base/hash.ts";
import { type Zstd, zstd } from "./zstd.ts";

/** Offsets of chunks are multiples of this: WebGPU's storage offset. */
export const alignment = 256;
/** No chunk holds more raw bytes: the bound on what reading one may allocate. */
export const maximumChunk = 16 << 20;
/** What the writer puts in a chunk: small enough that unpacking stays in the cache. */
export const writtenChunk = 4 << 20;

/**
 * `raw`: as is. `zstd`: one zstd frame. `planes`: one zstd frame of byte planes, all first bytes of the elements, then all second bytes, …:
 * exponents lie together, which made f16 weights 8 % smaller than plain zstd (FORMAT.md).
 */
export const codecs = ["raw", "zstd", "planes"] as const;
export type Codec = (typeof codecs)[number];

export interface Chunk {
  codec: Codec;
  /** Where it begins in the file, a multiple of 256. */
  offset: number;
  /** Bytes in the file, padding not counted. */
  stored: number;
  /** Bytes of content. */
  raw: number;
  /** xxHash64 of the stored bytes, 16 hex digits. */
  hash: string;
}

/** Length rounded up to the next multiple of the alignment: what it takes in a file. */
export function padded(length: number): number {
  return Math.ceil(length / alignment) * alignment;
}

/** Scratch memory of one reader or writer, so that steady work allocates nothing. */
export class ChunkCoder {
  private planes = new Uint8Array(0);
  private content = new Uint8Array(0);

  constructor(private readonly engine: Zstd = zstd()) {}

  /**
   * The stored form of content whose elements are `width` bytes: planes where they take less of a file, else raw.
   * The result is valid until the next call.
   */
  pack(raw: Uint8Array, width: number): { codec: Codec; stored: Uint8Array } {
    const split = width > 1;
    if (split && this.planes.length < raw.length) this.planes = new Uint8Array(raw.length);
    const source = split ? toPlanes(raw, width, this.planes.subarray(0, raw.length)) : raw;
    const stored = this.engine.compress(source, 1);
    if (padded(stored.length) >= padded(raw.length)) return { codec: "raw", stored: raw };
    return { codec: split ? "planes" : "zstd", stored };
  }

  /**
   * The content of a stored chunk, checked against its hash before it is unpacked and against its length after.
   * The result is valid until the next call or as long as `stored` is.
   * @param where tensor and number of the chunk, for messages
   * @throws DataError "chunk.hash" or "chunk.content"
   */
  unpack(chunk: Chunk, stored: Uint8Array, width: number, where: string): Uint8Array {
    if (xxh64(stored) !== chunk.hash) {
      throw new DataError(
        "chunk.hash",
        `${where}: the stored bytes do not have the hash ${chunk.hash}`,
        "get the file again: it is damaged",
      );
    }
    if (chunk.codec === "raw") return stored;
    if (this.content.length < chunk.raw) this.content = new Uint8Array(chunk.raw);
    const content = this.content.subarray(0, chunk.raw);
    try {
      this.engine.decompress(stored, content);
    } catch (cause) {
      throw new DataError("chunk.content", `${where}: ${chunk.stored} bytes do not unpack to ${chunk.raw}`, undefined, {
        cause,
      });
    }
    if (chunk.codec === "zstd" || width === 1) return content;
    if (this.planes.length < chunk.raw) this.planes = new Uint8Array(chunk.raw);
    return fromPlanes(content, width, this.planes.subarray(0, chunk.raw));
  }
}

function toPlanes(raw: Uint8Array, width: number, planes: Uint8Array): Uint8Array {
  const n = raw.length / width;
  for (let plane = 0; plane < width; plane++) {
    const start = plane * n;
    for (let i = 0, at = plane; i < n; i++, at += width) planes[start + i] = raw[at]!;
  }
  return planes;
}

function fromPlanes(planes: Uint8Array, width: number, raw: Uint8Array): Uint8Array {
  const n = raw.length / width;
  for (let plane = 0; plane < width; plane++) {
    const start = plane * n;
    for (let i = 0, at = plane; i < n; i++, at += width) raw[at] = planes[start + i]!;
  }
  return raw;
}
