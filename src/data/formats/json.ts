/** JSON: one object a line, one list of objects, or an object around one list. */
import { DataError } from "../../base/errors.ts";
import { findKind } from "../kinds.ts";
import { type Readable, readLines, readString } from "../lines.ts";
import { type Child, children, duplicateKey, ScanError, skipBlanks, valueEnd } from "./json-scan.ts";
import { ROWS_AT_ONCE, type Rows } from "./rows.ts";

/**
 * One value a line; blank lines are left out.
 * @throws DataError as readLines, and data.json, data.duplicate
 */
export async function* readJsonLines(source: Readable): AsyncGenerator<Rows> {
  for await (const { first, lines } of readLines(source)) yield parseLines(lines, first, source.label);
}

/**
 * A list; an object around one list, such as {"data": […]}; one object that is an example; or a JSONL file by another name.
 * @throws DataError as readString, and data.json, data.list, data.duplicate
 */
export async function* readJson(source: Readable): AsyncGenerator<Rows> {
  const { label } = source;
  const text = await readString(source);
  const at = skipBlanks(text, 0);
  if (at === text.length) return;
  try {
    if (text[at] === "[") {
      const rest = skipBlanks(text, yield* parseItems(text, at, label));
      if (rest < text.length) throw new ScanError("something stands behind the list", rest);
      return;
    }
    if (text[at] !== "{") throw new ScanError("neither a list nor an object", at);
    if (skipBlanks(text, valueEnd(text, at)) < text.length) return yield parseLines(text.split(/\r?\n/), 1, label);
    const parts = [...children(text, at)];
    const keys = parts.map(({ key }) => JSON.parse(key!) as string);
    if (findKind(keys)) return yield parseChildren([{ key: undefined, start: at, end: text.length }], text, label);
    const lists = parts.filter(({ start }) => text[start] === "[");
    if (lists.length === 1) {
      yield* parseItems(text, lists[0]!.start, label);
      return;
    }
    const found = `${lists.length === 0 ? "no list" : `${lists.length} lists`} in it`;
    const says = `${label}: one object with ${found}, not a list of examples; keys: ${keys.slice(0, 10).join(", ")}`;
    throw new DataError("data.list", says, '[{"text": "…"}, …], or JSONL');
  } catch (cause) {
    if (!(cause instanceof ScanError || cause instanceof SyntaxError)) throw cause;
    const line = cause instanceof ScanError ? lineAt(text, cause.at) : 1;
    throw new DataError("data.json", `${label} line ${line}: ${notJson(cause)}`, objects, { cause });
  }
}

/** @returns the place behind the list */
function* parseItems(text: string, at: number, label: string): Generator<Rows, number> {
  const list = children(text, at);
  let held: Child[] = [];
  let next = list.next();
  for (; !next.done; next = list.next()) {
    held.push(next.value);
    if (held.length < ROWS_AT_ONCE) continue;
    yield parseChildren(held, text, label);
    held = [];
  }
  yield parseChildren(held, text, label);
  return next.value;
}

function parseChildren(items: readonly Child[], text: string, label: string): Rows {
  const where = (i: number) => `${label} line ${lineAt(text, items[i]!.start)}`;
  return { values: items.map(({ start, end }, i) => parse(text.slice(start, end), () => where(i))), where };
}

function parseLines(lines: readonly string[], first: number, label: string): Rows {
  const numbers: number[] = [];
  const where = (i: number) => `${label} line ${numbers[i]}`;
  const values: unknown[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue;
    numbers.push(first + i);
    values.push(parse(line, () => where(values.length)));
  }
  return { values, where };
}

const objects = 'objects such as {"text": "…"}';

function notJson({ message }: Error): string {
  return `not valid JSON: ${message.replace(/^JSON Parse error: /, "")}`;
}

function parse(text: string, where: () => string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError("data.json", `${where()}: ${notJson(cause as Error)}`, objects, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const twice = duplicateKey(text, Object.keys(value));
  if (twice === undefined) return value;
  throw new DataError("data.duplicate", `${where()}: the key "${twice}" comes twice`, "each key once");
}

/** Number of the line, from 1, that holds text[at]. */
function lineAt(text: string, at: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < at; i = text.indexOf("\n", i + 1)) line++;
  return line;
}
