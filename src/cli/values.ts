/** One raw text → the typed value of a flag. Nothing is guessed: "007" stays text, "1e5" is no integer, "" is empty text. */
import { LolaError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import type { Flag } from "./table.ts";

/**
 * @param name how the value was given, for messages: `--seed`, `LOLA_SEED`, `seed in ./lola.toml`
 * @throws LolaError "usage" saying what is accepted
 */
export function parseValue(flag: Flag, raw: string, name: string): string | number | bigint | boolean | string[] {
  switch (flag.type) {
    case "text":
      return raw;
    case "list":
      return [raw];
    case "flag":
    case "negated":
      return parseSwitch(raw, name);
    case "choice": {
      if (flag.choices.includes(raw)) return raw;
      const meant = nearest(raw, flag.choices);
      throw misuse(name, raw, `one of ${flag.choices.join(", ")}`, meant && `${name} ${meant}`);
    }
    case "integer":
      return parseNumber(flag, raw, name, /^[+-]?\d+$/, "a whole number");
    case "count":
      return parseCount(flag, raw, name);
    case "size":
      return parseSize(raw, name);
    case "percent":
      return parsePercent(raw, name);
    case "float":
      return parseNumber(flag, raw, name, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, "a number");
    case "seed": {
      const seed = /^(\d+|0x[\da-f]+)$/i.test(raw) ? BigInt(raw) : -1n;
      if (seed < 0n || seed > 0xffffffffffffffffn) {
        throw misuse(name, raw, "a whole number from 0 to 18446744073709551615");
      }
      return seed;
    }
  }
}

function parseNumber(
  flag: { min?: number; max?: number },
  raw: string,
  name: string,
  pattern: RegExp,
  kind: string,
): number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = flag;
  const value = pattern.test(raw) ? Number(raw) : Number.NaN;
  const safe = kind === "a number" ? Number.isFinite(value) : Number.isSafeInteger(value);
  if (!safe || value < min || value > max) {
    const bounded = Number.isFinite(min) && Number.isFinite(max);
    const range = bounded ? ` from ${min} to ${max}` : Number.isFinite(min) ? ` of at least ${min}` : "";
    throw misuse(name, raw, kind + range);
  }
  return value;
}

const multiples: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** 1500, 20M, 2.5G. */
function parseCount({ min = 0 }: { min?: number }, raw: string, name: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)([kMGT]?)$/.exec(raw) ?? [];
  const value = Number((Number(digits) * multiples[unit]!).toPrecision(15));
  if (digits !== undefined && Number.isSafeInteger(value) && value >= min) return value;
  throw misuse(name, raw, `a whole number of at least ${min}, as 1500 or 20M`);
}

const binaries: Record<string, number> = { k: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes: 4GiB is 4 · 2³⁰, 4GB and 4G are 4 · 10⁹. @throws LolaError "usage" */
export function parseSize(raw: string, name: string): number {
  const [, digits, unit = "", binary] = /^(\d+(?:\.\d+)?)([kKMGT]?)(i?)B?$/.exec(raw) ?? [];
  const each = (binary ? binaries : multiples)[unit.replace("K", "k")];
  const value = Math.round(Number(digits) * (each ?? Number.NaN));
  if (digits !== undefined && Number.isSafeInteger(value) && value > 0) return value;
  throw misuse(name, raw, "a size as 4GiB or 500MB");
}

/** 2% and 2 are 0.02. */
function parsePercent(raw: string, name: string): number {
  const [, digits] = /^(\d+(?:\.\d+)?)%?$/.exec(raw) ?? [];
  if (digits !== undefined) return Number(digits) / 100;
  throw misuse(name, raw, "percent, as 2%");
}

function parseSwitch(raw: string, name: string): boolean {
  if (/^(1|true|yes|on)$/i.test(raw)) return true;
  if (/^(0|false|no|off)$/i.test(raw)) return false;
  throw misuse(name, raw, "true or false");
}

function misuse(name: string, raw: string, accepted: string, hint?: string): LolaError {
  return new LolaError("usage", `${name}: expected ${accepted}, got ${JSON.stringify(raw)}`, hint);
}
