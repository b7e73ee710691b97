/** Where values lie in JSON text, found without parsing them: to name the line of an item, and keys that come twice. */

/** A value in a list or an object: text[start, end). */
export interface Child {
  /** As written, with its quotes; undefined in a list. */
  key: string | undefined;
  start: number;
  end: number;
}

/** JSON that is not whole. */
export class ScanError extends Error {
  constructor(
    message: string,
    /** Place in the text. */
    readonly at: number,
  ) {
    super(message);
  }
}

const blank = /[ \t\r\n]*/y;
const scalar = /[^\s,\]}]+/y;

/** First place from `at` on that is not blank. */
export function skipBlanks(text: string, at: number): number {
  blank.lastIndex = at;
  blank.test(text);
  return blank.lastIndex;
}

/**
 * The children of the list or object that begins at text[at], in order; what they hold is not looked at.
 * @returns the place behind the list or object
 * @throws ScanError
 */
export function* children(text: string, at: number): Generator<Child, number> {
  const object = text[at] === "{";
  const close = object ? "}" : "]";
  let i = skipBlanks(text, at + 1);
  if (text[i] === close) return i + 1;
  for (;;) {
    let key: string | undefined;
    if (object) {
      if (text[i] !== '"') throw new ScanError("a key is missing", i);
      const end = stringEnd(text, i);
      key = text.slice(i, end);
      i = skipBlanks(text, end);
      if (text[i] !== ":") throw new ScanError(`no ":" behind a key`, i);
      i = skipBlanks(text, i + 1);
    }
    const end = valueEnd(text, i);
    yield { key, start: i, end };
    i = skipBlanks(text, end);
    if (text[i] === close) return i + 1;
    if (text[i] !== ",") {
      const what = object ? "the object" : "the list";
      throw new ScanError(i === text.length ? `${what} does not end` : 'no "," between two values', i);
    }
    i = skipBlanks(text, i + 1);
  }
}

/** The place behind the value that begins at text[at]. @throws ScanError */
export function valueEnd(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return stringEnd(text, at);
  if (first !== "{" && first !== "[") {
    scalar.lastIndex = at;
    if (!scalar.test(text)) throw new ScanError("a value is missing", at);
    return scalar.lastIndex;
  }
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const character = text[i];
    if (character === '"') i = stringEnd(text, i) - 1;
    else if (character === "{" || character === "[") depth++;
    else if ((character === "}" || character === "]") && --depth === 0) return i + 1;
  }
  throw new ScanError(`${first === "{" ? "an object" : "a list"} does not end`, at);
}

function stringEnd(text: string, at: number): number {
  for (let i = text.indexOf('"', at + 1); i >= 0; i = text.indexOf('"', i + 1)) {
    let slashes = 0;
    while (text[i - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return i + 1;
  }
  throw new ScanError("a string does not end", at);
}

/**
 * A key that an object has twice, of which all parsers keep only one.
 * @param text of a whole object, parsed before to have these keys
 */
export function duplicateKey(text: string, keys: readonly string[]): string | undefined {
  const twice = (key: string) => text.indexOf(key) !== text.lastIndexOf(key);
  // Nearly always no key occurs a second time anywhere, and the text need not be scanned.
  if (!keys.some((key) => twice(JSON.stringify(key)))) return undefined;
  const seen = new Set<string>();
  for (const { key } of children(text, skipBlanks(text, 0))) {
    const name = JSON.parse(key!) as string;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}
