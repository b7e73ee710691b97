/** zstd with a hard limit on what a frame may become: the native binding, or Bun's own where that cannot load. */
import zlib from "node:zlib";

export interface Zstd {
  name: "zstd-napi" | "bun";
  /** One frame; the result is valid until the next call. */
  compress(raw: Uint8Array, level: number): Uint8Array;
  /**
   * Fills exactly `target`.
   * @throws Error if the bytes are no zstd frame, or become more or fewer than `target` holds
   */
  decompress(stored: Uint8Array, target: Uint8Array): void;
}

/** Window of the largest frame that the format allows: chunks hold at most 16 MiB. */
const maximumWindowLog = 24;

/** The part of zstd-napi's native interface that is used. */
interface Binding {
  CCtx: new () => {
    setParameter(parameter: number, value: number): void;
    compress2(target: Uint8Array, source: Uint8Array): number;
  };
  DCtx: new () => { decompress(target: Uint8Array, source: Uint8Array): number };
  CParameter: { compressionLevel: number };
  compressBound(length: number): number;
}

/** zstd-napi's frames, or undefined where its native part is missing. */
export function nativeZstd(): Zstd | undefined {
  let binding: Binding;
  try {
    // A literal require, so that the compiler puts the binding into the executable.
    binding = require("zstd-napi/binding") as Binding;
  } catch {
    return undefined;
  }
  const encoder = new binding.CCtx();
  const decoder = new binding.DCtx();
  let scratch = new Uint8Array(0);
  return {
    name: "zstd-napi",
    compress(raw, level) {
      const bound = binding.compressBound(raw.length);
      if (scratch.length < bound) scratch = new Uint8Array(bound);
      encoder.setParameter(binding.CParameter.compressionLevel, level);
      return scratch.subarray(0, encoder.compress2(scratch, raw));
    },
    decompress(stored, target) {
      const length = decoder.decompress(target, stored);
      if (length !== target.length) throw new RangeError(`${length} bytes instead of ${target.length}`);
    },
  };
}

/** Bun's zstd, through node:zlib because only that takes a limit. */
export const bunZstd: Zstd = {
  name: "bun",
  compress: (raw, level) =>
    zlib.zstdCompressSync(raw, {
      params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
      pledgedSrcSize: raw.length,
      chunkSize: raw.length + 1024,
    }),
  decompress(stored, target) {
    const raw = zlib.zstdDecompressSync(stored, {
      maxOutputLength: target.length,
      chunkSize: Math.max(target.length, 64),
      params: { [zlib.constants.ZSTD_d_windowLogMax]: maximumWindowLog },
    });
    if (raw.length !== target.length) throw new RangeError(`${raw.length} bytes instead of ${target.length}`);
    target.set(raw);
  },
};

let chosen: Zstd | undefined;

/** The zstd that this process uses. */
export function zstd(): Zstd {
  return (chosen ??= nativeZstd() ?? bunZstd);
}

/** Which zstd that is, for the doctor. */
export function zstdEngine(): Zstd["name"] {
  return zstd().name;
}
