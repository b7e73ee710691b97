/** Files → documents, one after the other, in constant memory. */
import { DataError } from "../base/errors.ts";
import { readLines } from "./lines.ts";
import { isLanguage, type Source } from "./sources.ts";

export interface Document {
  text: string;
  /** A short name, as files and folders are named by: `swa`, `cmn_hans`. */
  language: string;
}

export interface FileDocument extends Document {
  /** Where it begins in its file, from 1. */
  line: number;
}

/** A text without blank lines is cut at the end of a line when it is longer, in UTF-16 units. */
const LONGEST_TEXT = 2 ** 20;

/**
 * The documents of files, in order.
 *
 * Text: paragraphs separated by blank lines are documents; one longer than 2^20 UTF-16 units is several. JSONL: one object
 * a line, its `text` the document, its `lang`, if any, the language. Empty documents are left out.
 * @throws DataError with the file and line: data.utf8, data.json, data.text, data.language, data.line, data.compressed,
 *   data.read
 */
export async function* readDocuments(sources: Iterable<Source>): AsyncGenerator<FileDocument> {
  for (const source of sources) yield* source.format === "jsonl" ? readJsonLines(source) : readText(source);
}

async function* readText(source: Source): AsyncGenerator<FileDocument> {
  const { language } = source;
  let paragraph: string[] = [];
  let length = 0;
  let begun = 1;
  const end = (): FileDocument => {
    const text = paragraph.join("\n");
    paragraph = [];
    length = 0;
    return { text, language, line: begun };
  };
  for await (const { first, lines } of readLines(source)) {
    for (const [i, line] of lines.entries()) {
      if (line.trim() === "") {
        if (length > 0) yield end();
        continue;
      }
      if (length === 0) begun = first + i;
      paragraph.push(line);
      length += line.length;
      if (length >= LONGEST_TEXT) yield end();
    }
  }
  if (length > 0) yield end();
}

async function* readJsonLines(source: Source): AsyncGenerator<FileDocument> {
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

function parseDocument(line: string, { label, language }: Source, number: number): FileDocument {
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
  if (!isLanguage(lang)) {
    throw wrong("data.language", `"lang" is ${JSON.stringify(lang).slice(0, 40)}, no name of letters, digits, - and _`);
  }
  return { text, language: lang, line: number };
}
