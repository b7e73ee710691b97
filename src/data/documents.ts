/** Files → documents, one after the other, in constant memory. */
import { DataError } from "../base/errors.ts";
import type { Source } from "./sources.ts";

export interface Document {
  text: string;
  /** A short name, as files and folders are named by: `swa`, `cmn_hans`. */
  language: string;
}

/** Longest line, in bytes. */
const LONGEST_LINE = 2 ** 26;
/** A text without blank lines is cut at the end of a line when it is longer, in UTF-16 units. */
const LONGEST_TEXT = 2 ** 20;
const LINE_FEED = 10;

/** Some lines of a file with the number of the first, from 1. */
interface Lines {
  first: number;
  lines: string[];
}

/**
 * The documents of files, in order.
 *
 * Text: paragraphs separated by blank lines are documents; one longer than 2^20 UTF-16 units is several. JSONL: one object
 * a line, its `text` the document, its `lang`, if any, the language. Empty documents are left out.
 * @throws DataError with the file and line: data.utf8, data.json, data.text, data.language, data.line, data.compressed,
 *   data.read
 */
export async function* readDocuments(sources: Iterable<Source>): AsyncGenerator<Document> {
  for (const source of sources) yield* source.format === "jsonl" ? readJsonLines(source) : readText(source);
}

async function* readText(source: Source): AsyncGenerator<Document> {
  const { language } = source;
  let paragraph: string[] = [];
  let length = 0;
  const end = (): Document => {
    const text = paragraph.join("\n");
    paragraph = [];
    length = 0;
    return { text, language };
  };
  for await (const { lines } of readLines(source)) {
    for (const line of lines) {
      if (line.trim() === "") {
        if (length > 0) yield end();
        continue;
      }
      paragraph.push(line);
      length += line.length;
      if (length >= LONGEST_TEXT) yield end();
    }
  }
  if (length > 0) yield end();
}

async function* readJsonLines(source: Source): AsyncGenerator<Document> {
  for await (const { first, lines } of readLines(source)) {
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!;
      if (line.trim() === "") continue;
      const document = parseDocument(line, source, first + i);
      if (document.text !== "") yield document;
    }
  }
}

const example = '{"text": "Habari ya asubuhi", "lang": "swa"}';

function parseDocument(line: string, { label, language }: Source, number: number): Document {
  const wrong = (code: string, why: string, cause?: unknown) =>
    new DataError(code, `${label} line ${number}: ${why}`, `lines such as ${example}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw wrong("data.json", `not valid JSON: ${(cause as Error).message}`, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("data.json", "not an object");
  const { text, lang = language } = value as Record<string, unknown>;
  if (typeof text !== "string") {
    const keys = Object.keys(value).slice(0, 10).join(", ");
    throw wrong("data.text", `no "text" that is a string; keys: ${keys || "none"}`);
  }
  if (typeof lang !== "string" || !/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(lang)) {
    throw wrong("data.language", `"lang" is ${JSON.stringify(lang).slice(0, 40)}, no name of letters, digits, - and _`);
  }
  return { text, language: lang };
}

/** Blocks of whole lines, without their ends. A byte order mark at the beginning is left out. */
async function* readLines(source: Source): AsyncGenerator<Lines> {
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
    const lines = decode(Buffer.concat([...pending, chunk.subarray(0, end + 1)]), source, first);
    lines.pop();
    yield { first, lines };
    first += lines.length;
    pending = [chunk.subarray(end + 1)];
    size = pending[0]!.length;
  }
  if (size > 0) yield { first, lines: decode(Buffer.concat(pending), source, first) };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array, source: Source, first: number): string[] {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    const line = first + firstBadLine(bytes);
    throw new DataError("data.utf8", `${source.label} line ${line}: not UTF-8`, "iconv -t UTF-8 converts it", {
      cause,
    });
  }
  if (first === 1 && text.startsWith("\ufeff")) text = text.slice(1);
  return text.split(/\r?\n/);
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

async function* readBytes({ path, label, compression }: Source): AsyncGenerator<Uint8Array> {
  const file = Bun.file(path).stream();
  // node:zlib takes a zstd frame that is cut off for whole; this does not.
  const whole = compression ? file.pipeThrough(new DecompressionStream(compression)) : file;
  try {
    yield* whole;
  } catch (cause) {
    const { syscall, code, message } = cause as NodeJS.ErrnoException;
    if (syscall) throw new DataError("data.read", `${label}: ${syscall} failed with ${code}`, undefined, { cause });
    throw new DataError("data.compressed", `${label}: not a whole ${compression} file: ${message}`, undefined, {
      cause,
    });
  }
}
