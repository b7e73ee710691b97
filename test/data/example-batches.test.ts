/** Batches of examples: each whole, once an epoch, behind an eos; and a saved place that goes on as if never stopped. */
import { describe, expect, test } from "bun:test";
import { ignored } from "../../kernels/loss/cross_entropy_backward.ts";
import { ExampleBatches, type ExampleBatchOptions } from "../../src/data/example-batches.ts";
import { counted, type ExampleTokens } from "../../src/data/example-tokens.ts";
import { exampleValidationRows } from "../../src/data/example-validation.ts";
import type { ExampleSet } from "../../src/data/examples.ts";
import { packRows } from "../../src/data/packing.ts";
import { dice, tiny } from "../tokenizer/support.ts";
import { EOS } from "./support.ts";

/** Examples whose tokens say whose they are: example · 100 + place + 10, the second half counted, then an eos, counted. */
function made(lengths: readonly number[]): ExampleTokens {
  const starts = new Uint32Array(lengths.length + 1);
  const words = lengths.flatMap((length, example) => {
    starts[example + 1] = starts[example]! + length;
    const own = Array.from({ length: length - 1 }, (_, i) => 100 * example + i + 10 + (2 * i >= length ? counted : 0));
    return [...own, EOS + counted];
  });
  return { words: Uint32Array.from(words), starts, languages: new Uint32Array(lengths.length) };
}

const roll = dice(3n);
const lengths = Array.from({ length: 200 }, () => 2 + roll(40));
const tokens = made(lengths);
const options: ExampleBatchOptions = {
  tokens,
  examples: Uint32Array.from(lengths, (_, i) => i).filter((i) => i % 10 !== 3),
  eos: EOS,
  batch: 3,
  context: 64,
  seed: 5n,
};

/** The examples of a row, in order, and the row checked against what it should be. */
function examplesOf(inputs: Uint32Array, targets: Uint32Array): number[] {
  const found: number[] = [];
  let at = 0;
  while (at < targets.length && inputs[at] === EOS && inputs[at + 1]! >= 10) {
    const example = Math.floor((inputs[at + 1]! - 10) / 100);
    const own = tokens.words.subarray(tokens.starts[example], tokens.starts[example + 1]);
    const ids = Array.from(own, (word) => (word & 0x7fffffff) >>> 0);
    expect([...inputs.subarray(at, at + own.length)]).toEqual([EOS, ...ids.slice(0, -1)]);
    const wanted = Array.from(own, (word, i) => (word >= counted ? ids[i]! : ignored));
    expect([...targets.subarray(at, at + own.length)]).toEqual(wanted);
    found.push(example);
    at += own.length;
  }
  expect(inputs.subarray(at).every((id) => id === EOS)).toBe(true);
  expect(targets.subarray(at).every((id) => id === ignored)).toBe(true);
  return found;
}

function rowsOf({ inputs, targets }: ReturnType<ExampleBatches["next"]>, context: number): number[][] {
  return Array.from({ length: inputs.length / context }, (_, b) => {
    const [from, to] = [b * context, (b + 1) * context];
    return examplesOf(inputs.subarray(from, to), targets.subarray(from, to));
  });
}

describe("an epoch", () => {
  test("holds every example once, whole, each behind an eos, in an order of its own", () => {
    const epochs = [0, 1, 2].map((epoch) => {
      const batches = new ExampleBatches({ ...options, batch: 1, cursor: { epoch, row: 0 } });
      const count = batches.rows(epoch + 1) - batches.rows(epoch);
      const rows = Array.from({ length: count }, () => rowsOf(batches.next(), 64)[0]!);
      expect(batches.cursor).toEqual({ epoch, row: count });
      expect(rows.flat().sort((a, b) => a - b)).toEqual([...options.examples]);
      return rows;
    });
    expect(new Set(epochs.map((rows) => JSON.stringify(rows))).size).toBe(3);
  });

  test("wastes little", () => {
    const sum = [...options.examples].reduce((total, i) => total + lengths[i]!, 0);
    const rows = new ExampleBatches(options).rows(1);
    expect(rows * 64).toBeLessThan(1.02 * sum);
  });

  test("ends within a batch, and the next begins there", () => {
    const batches = new ExampleBatches(options);
    const rows = batches.rows(2);
    const seen: number[][] = [];
    while (seen.length < rows) seen.push(...rowsOf(batches.next(), 64));
    const times = new Map<number, number>();
    for (const example of seen.slice(0, rows).flat()) times.set(example, (times.get(example) ?? 0) + 1);
    expect([...times.values()].every((count) => count === 2)).toBe(true);
    expect(times.size).toBe(options.examples.length);
  });
});

describe("packing", () => {
  test("puts each example where it leaves the least room", () => {
    const sizes = [6, 7, 3, 4, 10, 1, 2];
    const { examples, starts } = packRows(
      Uint32Array.from(sizes, (_, i) => i),
      (i) => sizes[i]!,
      10,
    );
    const rows = Array.from(starts.subarray(1), (end, r) => [...examples.subarray(starts[r], end)]);
    expect(rows).toEqual([[0, 3], [1, 2], [4], [5, 6]]);
  });

  test("of examples as long as a row, or of none", () => {
    const whole = packRows(Uint32Array.of(4, 2), () => 8, 8);
    expect([[...whole.examples], [...whole.starts]]).toEqual([
      [4, 2],
      [0, 1, 2],
    ]);
    expect([...packRows(new Uint32Array(), () => 1, 8).starts]).toEqual([0]);
  });
});

describe("a saved place", () => {
  test("goes on with the same batches, from any step, through JSON", () => {
    const whole = new ExampleBatches(options);
    const cursors: string[] = [];
    const wanted = Array.from({ length: 60 }, () => {
      cursors.push(JSON.stringify(whole.cursor));
      return whole.next();
    });
    expect(whole.cursor.epoch).toBeGreaterThan(1);
    for (const at of [0, 1, 20, 37, 59]) {
      const resumed = new ExampleBatches({ ...options, cursor: JSON.parse(cursors[at]!) });
      for (let i = at; i < 60; i++) expect(resumed.next()).toEqual(wanted[i]!);
      expect(resumed.cursor).toEqual(whole.cursor);
    }
  });

  test("that is not in the epoch is refused", () => {
    const cursor = { epoch: 0, row: 10_000 };
    expect(() => new ExampleBatches({ ...options, cursor })).toThrow(
      expect.objectContaining({ kind: "data", code: "data.cursor" }),
    );
  });
});

test("another seed, other batches; the same seed, the same; no examples are refused", () => {
  const first = (seed: bigint) => new ExampleBatches({ ...options, seed }).next();
  expect(first(5n)).toEqual(first(5n));
  expect(first(5n)).not.toEqual(first(6n));
  expect(first(1n)).not.toEqual(first(1n + 2n ** 32n));
  const none = { ...options, examples: new Uint32Array() };
  expect(() => new ExampleBatches(none)).toThrow(expect.objectContaining({ kind: "usage" }));
});

test("validation rows are each of one language, evenly spread, with what counts in tokens and bytes", () => {
  const tokenizer = tiny();
  const ids = [...tokenizer.encode("Habari ya asubuhi, ü€😀", { specials: false })];
  const length = ids.length + 1;
  const all = Uint32Array.from(
    Array.from({ length: 40 }, () => [...ids.map((id, i) => id + (i < 2 ? 0 : counted)), EOS + counted]).flat(),
  );
  const starts = Uint32Array.from({ length: 41 }, (_, i) => i * length);
  const languages = Uint32Array.from({ length: 40 }, (_, i) => (i % 4 === 0 ? 1 : 0));
  const summary = { languages: [{ language: "swa" }, { language: "yor" }, { language: "zul" }] };
  const set = {
    tokens: { words: all, starts, languages },
    validation: starts.subarray(0, 40).map((_, i) => i),
    summary,
  } as unknown as ExampleSet;
  const context = 3 * length + 1;
  const rows = exampleValidationRows(set, tokenizer, EOS, context, 5);
  expect(rows.map(({ language }) => language)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1]);
  const bytes = ids.slice(2).reduce((sum, id) => sum + tokenizer.bytes(id).length, 0);
  expect(rows[0]!.counted).toBe(3 * (length - 2));
  expect(rows[0]!.bytes).toBe(3 * bytes);
  expect(rows.at(-1)!.counted).toBe(length - 2);
  for (const { inputs, targets } of rows) expect([inputs.length, targets.length]).toEqual([context, context]);
});
