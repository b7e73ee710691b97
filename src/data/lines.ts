/** The bytes, lines and text of files, decompressed: what every format is read from. */
import { DataError } from "../base/errors.ts";
import type { Source } from "./sources.ts";

/** What reading takes of a file. */
export type Readable = Pick<Source, "path" | "label" | "compression">;

/** Longest line, in bytes. */
const LONGEST_LINE = 2 ** 26;
/** Largest file that is read in one piece, in bytes when decompressed. */
const LARGEST_WHOLE = 2 ** 30;
const LINE_FEED = 10;

/** Some lines of a file with the number of the first, from 1. */
interface Lines {
  first: number;
  lines: string[];
}

/**
 * Blocks of whole lines, without their ends. A byte order mark at the beginning is left out.
 * @throws DataError: data.utf8, data.line, data.compressed, data.read
 */
export async function* readLines(source: Readable): AsyncGenerator<Lines> {
  let pending: Uint8Array[] = [];
  let size = 0;
  let first = 1;
  for await (const chunk of readBytes(source)) {
    const end = chunk.lastIndexOf(LINE_FEED);
    if (end < 0) {
      pending.push(chunk);
      size += chunk.length;
      if (size > LONGEST_LINE) {
        const found = `${source.label} line ${first}: longer than ${LONGEST_LINE} bytes`;
        throw new DataError("data.line", found, "one document a line in JSONL, paragraphs of lines in text");
      }
      continue;
    }
    const lines = decode(Buffer.concat([...pending, chunk.subarray(0, end + 1)]), source, first).split(/\r?\n/);
    lines.pop();
    yield { first, lines };
    first += lines.length;
    pending = [chunk.subarray(end + 1)];
    size = pending[0]!.length;
  }
  if (size > 0) yield { first, lines: decode(Buffer.concat(pending), source, first).split(/\r?\n/) };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param first number of the first line */
function decode(bytes: Uint8Array, source: Readable, first: number): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    const line = first + firstBadLine(bytes);
    throw new DataError("data.utf8", `${source.label} line ${line}: not UTF-8`, "iconv -t UTF-8 converts it", {
      cause,
    });
  }
  return first === 1 && text.startsWith("\ufeff") ? text.slice(1) : text;
}

/** Index of the first line that is not UTF-8. */
function firstBadLine(bytes: Uint8Array): number {
  for (let line = 0, start = 0; ; line++) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    try {
      utf8.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + 1;
  }
}

/**
 * All of a file, decompressed.
 * @throws DataError: data.large, data.compressed, data.read
 */
export async function readWhole(source: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readBytes(source)) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > LARGEST_WHOLE) {
      const found = `${source.label}: more than ${LARGEST_WHOLE} bytes in one piece`;
      throw new DataError("data.large", found, "JSONL, which is read line by line");
    }
  }
  return Buffer.concat(chunks);
}

/**
 * All of a file as text, without a byte order mark.
 * @throws DataError as readWhole, and data.utf8
 */
export async function readString(source: Readable): Promise<string> {
  return decode(await readWhole(source), source, 1);
}

/**
 * The bytes of a file, decompressed, as they are read.
 * @throws DataError: data.compressed, data.read
 */
export async function* readBytes({ path, label, compression }: Readable): AsyncGenerator<Uint8Array> {
  const file = Bun.file(path).stream();
  // node:zlib takes a zstd frame that is cut off for whole; this does not.
  const whole = compression ? file.pipeThrough(new DecompressionStream(compression)) : file;
  try {
    yield* whole;
  } catch (cause) {
    const { syscall, code, message } = cause as NodeJS.ErrnoException;
    if (syscall) throw new DataError("data.read", `${label}: ${syscall} failed with ${code}`, undefined, { cause });
    const says = `${label}: not a whole ${compression} file: ${message}`;
    throw new DataError("data.compressed", says, "the file fetched or packed again", { cause });
  }
}
