/** Random access to the bytes of a model: a file on disk, or bytes inside the program. */
import * as fs from "node:fs";
import { DataError, LolaError } from "../base/errors.ts";

/** Bytes from `offset` on, valid until this reader's next call. */
export type Reader = (offset: number, length: number) => Uint8Array;

export interface ByteSource {
  /** What messages call it. */
  readonly label: string;
  readonly size: number;
  /** Descriptor of the open file, to map it by; none of bytes in memory. */
  readonly file?: number;
  /** A reader with a buffer of its own; it throws DataError "file.truncated" beyond the end. */
  reader(): Reader;
  close(): void;
}

/** Bytes in memory, handed out without copying. */
export function memoryBytes(bytes: Uint8Array, label: string): ByteSource {
  return {
    label,
    size: bytes.length,
    reader: () => (offset, length) => {
      checkRange(label, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    close() {},
  };
}

/**
 * A file, read as asked for; at most the largest length asked for is held in memory.
 * @throws LolaError "usage" if it cannot be opened
 */
export function fileBytes(path: string): ByteSource {
  let file: number;
  let stat: fs.Stats;
  try {
    file = fs.openSync(path, "r");
    stat = fs.fstatSync(file);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (!stat.isFile()) {
    fs.closeSync(file);
    throw new LolaError("usage", `${path} is not a file`);
  }
  const { size } = stat;
  return {
    label: path,
    size,
    file,
    reader() {
      let buffer = new Uint8Array(0);
      return (offset, length) => {
        checkRange(path, size, offset, length);
        if (buffer.length < length) buffer = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          const count = fs.readSync(file, buffer, done, length - done, offset + done);
          if (count === 0) throw new DataError("file.truncated", `${path} became shorter while it was read`);
          done += count;
        }
        return buffer.subarray(0, length);
      };
    },
    close: () => fs.closeSync(file),
  };
}

/** A path that cannot be opened, as one line. */
export function unreadable(path: string, error: unknown): LolaError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return new LolaError("usage", `${path} does not exist`, "lola models list");
  return new LolaError("failed", `cannot read ${path}: ${code ?? String(error)}`, undefined, { cause: error });
}

function checkRange(label: string, size: number, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
    throw new DataError(
      "file.truncated",
      `${label}: bytes ${offset} to ${offset + length} of a file of ${size}`,
      "lola models verify",
    );
  }
}
