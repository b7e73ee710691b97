/** Typed access to values that came out of a header: every one is checked before it is used. */
import { DataError } from "../base/errors.ts";

/** A map with exactly these keys. @param more keys that may be there, too */
export function asMap(
  value: unknown,
  what: string,
  keys: readonly string[],
  more: readonly string[] = [],
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${what}: a map`, value);
  const odd =
    Object.keys(value).find((key) => !keys.includes(key) && !more.includes(key)) ??
    keys.find((key) => !Object.hasOwn(value, key));
  if (odd !== undefined)
    throw new DataError("header.fields", `${what}: ${JSON.stringify(odd)} is missing or not known`);
  return value as Record<string, unknown>;
}

/** A list, of this length if one is given. */
export function asList(value: unknown, what: string, length?: number): unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length)) throw wrong(`${what}: a list`, value);
  return value;
}

export function asString(value: unknown, what: string): string {
  if (typeof value !== "string") throw wrong(`${what}: a string`, value);
  return value;
}

/** An integer, 0 or more. */
export function asCount(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw wrong(`${what}: a count`, value);
  return value;
}

/** Lower-case hex digits, exactly so many. */
export function asHex(value: unknown, digits: number, what: string): string {
  const text = asString(value, what);
  if (text.length !== digits || !/^[0-9a-f]+$/.test(text)) throw wrong(`${what}: ${digits} hex digits`, value);
  return text;
}

function wrong(expected: string, value: unknown): DataError {
  const found = Array.isArray(value) ? `a list of ${value.length}` : String(JSON.stringify(value)).slice(0, 60);
  return new DataError("header.fields", `${expected} expected, found ${found}`);
}
