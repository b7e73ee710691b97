/** Structure-aware mutation: values of a decoded header are bent, then everything is put together again with valid lengths and hashes. */
import { Packr } from "msgpackr";
import { xxh64 } from "../../src/base/hash.ts";
import { philox, seedWords } from "../../src/base/random.ts";
import { encode } from "../../src/checkpoint/msgpack.ts";
import { type Header, putTogether, takeApart } from "./tiny.ts";

const loose = new Packr({ useRecords: false, variableMapSize: true });

/** Random choices that depend on seed and number of the mutant alone. */
export class Dice {
  private counter = 0;
  constructor(
    private readonly seed: number,
    private readonly stream: number,
  ) {}

  /** An integer in [0, n). */
  below(n: number): number {
    const [word] = philox(seedWords(BigInt(this.seed)), [this.counter++, this.stream, 0, 0]);
    return word % n;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

const numbers = [
  0,
  1,
  2,
  7,
  8,
  255,
  256,
  257,
  768,
  65535,
  65536,
  2 ** 24,
  2 ** 24 + 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  -1,
  0.5,
  1e-5,
  1e300,
];
const strings = [
  "",
  "raw",
  "zstd",
  "planes",
  "f32",
  "f16",
  "bf16",
  "q4",
  "q4_64",
  "q8_32",
  "quantized",
  "model",
  "__proto__",
  "constructor",
  "wte.weight",
  "h.1.moe.gate.weight",
  "../x",
  "é",
  "0".repeat(16),
  "0".repeat(64),
  "a".repeat(300),
];

type Json = Record<string, unknown> | unknown[];

/** Bends one value somewhere below `root`. */
export function bend(root: Json, dice: Dice): void {
  let place: Json = root;
  for (;;) {
    const keys = Object.keys(place);
    if (keys.length === 0) return;
    const key = dice.pick(keys);
    const value = (place as Record<string, unknown>)[key];
    if (typeof value === "object" && value !== null && dice.below(4) > 0) {
      place = value as Json;
      continue;
    }
    change(place, key, value, dice);
    return;
  }
}

function change(place: Json, key: string, value: unknown, dice: Dice): void {
  const fields = place as Record<string, unknown>;
  const kind = dice.below(8);
  if (kind === 0 && Array.isArray(place)) place.splice(Number(key), 1);
  else if (kind === 0) delete fields[key];
  else if (kind === 1 && Array.isArray(place)) place.splice(Number(key), 0, structuredClone(value));
  else if (kind === 1) fields[`${key}x`] = value;
  else if (kind === 2 && Array.isArray(place)) fields[key] = structuredClone(dice.pick(place));
  else if (kind === 3) fields[key] = dice.pick([[], {}, [[]], true, false, "", 0, [value], { a: value }]);
  else if (typeof value === "number")
    fields[key] = dice.below(2) ? dice.pick(numbers) : value + dice.pick([-256, -8, -1, 1, 8, 256]);
  else if (typeof value === "string") fields[key] = dice.below(2) ? dice.pick(strings) : value.slice(1);
  else fields[key] = dice.pick<unknown>([...numbers, ...strings]);
}

/** A mutant of a valid file. */
export function mutant(valid: Uint8Array, dice: Dice): Uint8Array {
  const way = dice.below(10);
  if (way < 6) return bentHeader(valid, dice);
  if (way < 8) return bentChunk(valid, dice);
  return bentBytes(valid, dice);
}

function bentHeader(valid: Uint8Array, dice: Dice): Uint8Array {
  const { chunks, header } = takeApart(valid);
  for (let n = 1 + dice.below(3); n > 0; n--) bend(header as unknown as Json, dice);
  return putTogether(chunks, encoded(header));
}

/** Other stored bytes under a good hash, so that they reach the decoder. */
function bentChunk(valid: Uint8Array, dice: Dice): Uint8Array {
  const { chunks, header } = takeApart(valid);
  const rows = header.tensors.flatMap((tensor) => tensor[4]);
  const which = dice.below(rows.length);
  const start = rows.slice(0, which).reduce((at, row) => at + Math.ceil(row[1] / 256) * 256, 0);
  const row = rows[which]!;
  const stored = chunks.subarray(start, start + row[1]);
  for (let n = 1 + dice.below(3); n > 0; n--)
    stored[dice.below(Math.min(stored.length, dice.pick([4, 16, 1 << 30])))] = dice.below(256);
  row[3] = xxh64(stored);
  if (dice.below(3) === 0) row[2] = Math.max(1, row[2] + dice.pick([-256, -1, 1, 256, 1 << 20]));
  if (dice.below(3) === 0) row[0] = dice.pick(["raw", "zstd", "planes"]);
  return putTogether(chunks, encode(header));
}

/** Bytes flipped, cut off, or moved, wherever they are. */
export function bentBytes(valid: Uint8Array, dice: Dice): Uint8Array {
  const file = valid.slice(0, dice.below(2) ? valid.length : dice.below(valid.length));
  for (let n = dice.below(4); n > 0 && file.length > 0; n--) {
    const at = dice.below(dice.pick([file.length, Math.min(file.length, 64)]));
    if (dice.below(2)) file[at]! ^= 1 << dice.below(8);
    else file.copyWithin(at, dice.below(file.length), dice.below(file.length));
  }
  return file;
}

/** Canonical where the values allow it, else as msgpackr would. */
function encoded(header: Header): Uint8Array {
  try {
    return encode(header);
  } catch (error) {
    if (error instanceof TypeError) return loose.pack(header);
    throw error;
  }
}
