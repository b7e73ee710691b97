/** MessagePack in one canonical form: bytes pass a strict linear scan before msgpackr sees them (FORMAT.md, "Header"). */
import { isUtf8 } from "node:buffer";
import { Packr, Unpackr } from "msgpackr";
import { DataError } from "../base/errors.ts";

/** What the header is made of: no null, no negative or 64-bit integers, no binary, no extensions. */
export type Plain = string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain };

export const maximumDepth = 8;
export const maximumNodes = 1 << 20;
const keyPattern = /^[A-Za-z][A-Za-z0-9_.-]{0,127}$/;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

/**
 * The canonical bytes of a value: map keys in ascending order, undefined members left out.
 * @throws TypeError for a value that the format has no form for: a bug of the caller
 */
export function encode(value: unknown): Uint8Array {
  return packr.pack(ordered(value, 0));
}

/**
 * The value of canonical bytes.
 * @throws DataError "header.…" at the first byte that is not as `encode` writes it
 */
export function decode(bytes: Uint8Array): unknown {
  scan(bytes);
  return unpackr.unpack(bytes);
}

function ordered(value: unknown, depth: number): Plain {
  if (depth > maximumDepth) throw new TypeError(`deeper than ${maximumDepth}`);
  if (typeof value === "string" && value.isWellFormed()) return value;
  if (typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) {
    if (!Number.isInteger(value) || (value >= 0 && value <= 0xffffffff && !Object.is(value, -0))) return value;
  }
  if (Array.isArray(value)) return value.map((item) => ordered(item, depth + 1));
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    const entries = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [key] of entries) if (!keyPattern.test(key)) throw new TypeError(`key ${JSON.stringify(key)}`);
    return Object.fromEntries(entries.map(([key, member]) => [key, ordered(member, depth + 1)]));
  }
  throw new TypeError(`${typeof value} ${String(value)} has no form in the header`);
}

/** One pass over the bytes, without recursion and without allocating by what they claim. */
function scan(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length;
  // Open containers: items still to come, and for maps the last key (undefined for arrays; "" before the first).
  const left: number[] = [1];
  const keys: (string | undefined)[] = [undefined];
  let expectKey = false;
  let at = 0;
  let nodes = 0;

  const fail = (code: string, what: string): never => {
    throw new DataError(`header.${code}`, `header byte ${at}: ${what}`);
  };
  const need = (count: number) => {
    if (count > end - at) fail("truncated", `${count} bytes needed, ${end - at} left`);
  };
  /** Reads a big-endian length or integer of 1, 2 or 4 bytes after the tag; it must not fit a shorter form. */
  const number = (size: 1 | 2 | 4, least: number): number => {
    need(1 + size);
    const value = size === 1 ? view.getUint8(at + 1) : size === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1);
    if (value < least) fail("canonical", `${value} is written longer than needed`);
    return value;
  };
  const integer = (size: 1 | 2 | 4, least: number) => {
    number(size, least);
    at += 1 + size;
  };
  const string = (header: number, length: number) => {
    need(header + length);
    at += header + length;
    const content = bytes.subarray(at - length, at);
    if (!isAscii(content) && !isUtf8(content)) fail("text", "a string that is not UTF-8");
    if (expectKey) {
      const key = new TextDecoder().decode(content);
      if (!keyPattern.test(key)) fail("key", `map key ${JSON.stringify(key.slice(0, 40))}`);
      if (key <= keys.at(-1)!) fail("key", `map key ${key} is double or out of order`);
      keys[keys.length - 1] = key;
    }
  };
  const open = (header: number, count: number, map: boolean) => {
    at += header;
    if (count * (map ? 2 : 1) > end - at) fail("count", `${count} items in ${end - at} bytes`);
    if (left.length > maximumDepth) fail("depth", `deeper than ${maximumDepth}`);
    left.push(map ? count * 2 : count);
    keys.push(map ? "" : undefined);
  };

  while (left.length > 0) {
    const remaining = left.at(-1)!;
    if (remaining === 0) {
      left.pop();
      keys.pop();
      continue;
    }
    left[left.length - 1] = remaining - 1;
    expectKey = keys.at(-1) !== undefined && remaining % 2 === 0;
    if (++nodes > maximumNodes) fail("count", `more than ${maximumNodes} values`);
    need(1);
    const tag = bytes[at]!;
    const isString = (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb);
    if (expectKey && !isString) fail("key", "a map key that is no string");
    if (tag <= 0x7f) at += 1;
    else if (tag <= 0x8f) open(1, tag & 15, true);
    else if (tag <= 0x9f) open(1, tag & 15, false);
    else if (tag <= 0xbf) string(1, tag & 31);
    else if (tag === 0xc2 || tag === 0xc3) at += 1;
    else if (tag === 0xcb) {
      need(9);
      const value = view.getFloat64(at + 1);
      if (!Number.isFinite(value) || Number.isInteger(value)) fail("canonical", `${value} as a fraction`);
      at += 9;
    } else if (tag === 0xcc) integer(1, 0x80);
    else if (tag === 0xcd) integer(2, 0x100);
    else if (tag === 0xce) integer(4, 0x10000);
    else if (tag === 0xd9) string(2, number(1, 0x20));
    else if (tag === 0xda) string(3, number(2, 0x100));
    else if (tag === 0xdb) string(5, number(4, 0x10000));
    else if (tag === 0xdc) open(3, number(2, 0x10), false);
    else if (tag === 0xdd) open(5, number(4, 0x10000), false);
    else if (tag === 0xde) open(3, number(2, 0x10), true);
    else if (tag === 0xdf) open(5, number(4, 0x10000), true);
    else fail("type", `type 0x${tag.toString(16)} is not allowed`);
  }
  if (at !== end) fail("trailing", `${end - at} bytes too many`);
}

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 0x7f) return false;
  return true;
}
