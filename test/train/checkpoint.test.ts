/** The state of a run in a file: every rule has a file that breaks it, with valid lengths and hashes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError } from "../../src/base/errors.ts";
import { encode } from "../../src/checkpoint/msgpack.ts";
import { openDevice } from "../../src/device/choose.ts";
import { initialWeights } from "../../src/model/init.ts";
import { openSource } from "../../src/model/open.ts";
import { openCheckpoint, type RunState, saveCheckpoint } from "../../src/train/checkpoint.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import { type Header, putTogether, takeApart } from "../checkpoint/tiny.ts";
import { tinyData, tinyRun } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true }));

const state: RunState = {
  ...{ step: 12, validated: 8, skipped: 1, bad: 0, best: 2.5, metrics: 4711, data: "ab".repeat(32) },
  cursor: { rows: 48, windows: [30, 18] },
};
const path = join(root, "last.lola");
const provenance = { made: "train", from: "test", version: "0", notes: [] };
const { tokenizer } = tinyData();
let valid: Uint8Array;

beforeAll(async () => {
  const { device } = await openDevice("reference");
  const { model, recipe, shape } = tinyRun();
  const engine = new TrainingEngine(device, model, recipe, shape, 1n);
  engine.load("weights", initialWeights(model, 1n, 0.02));
  await saveCheckpoint(path, engine, { tokenizer: tokenizer.data, provenance, state });
  valid = readFileSync(path);
  device.close();
});

function opened(file: Uint8Array): RunState {
  const path = join(root, "other.lola");
  writeFileSync(path, file);
  const { state, close } = openCheckpoint(path);
  close();
  return state;
}

type Training = Record<string, unknown> & { cursor: Record<string, unknown> };

/** The valid file with another value in its header. */
function withHeader(change: (header: Header, training: Training) => void): Uint8Array {
  const { chunks, header } = takeApart(valid);
  change(header, (header.meta as unknown as { training: Training }).training);
  return putTogether(chunks, encode(header));
}

test("the state comes back, with a best or without", async () => {
  expect(opened(valid)).toEqual(state);
  const without = withHeader((_, training) => delete training.best);
  expect(opened(without)).toEqual({ ...state, best: undefined });
});

test("it is a model too, whose identity does not count moments", () => {
  const source = openSource(path);
  expect([...source.tensors.keys()].filter((name) => /^[mv]\./.test(name))).toEqual([]);
  const other = join(root, "moments.lola");
  writeFileSync(
    other,
    withHeader((header) => {
      for (const row of header.tensors) if (row[0].startsWith("m.")) row[3] = "0".repeat(64);
    }),
  );
  const same = openSource(other);
  expect(same.identity).toBe(source.identity);
  for (const model of [source, same]) model.close();
});

const renamed = (from: string, to: string) => () =>
  withHeader((header) => {
    header.tensors.find(([name]) => name === from)![0] = to;
  });
const told = (name: string, value: unknown) => () =>
  withHeader((_, training) => {
    training[name] = value;
  });

const attacks: [what: string, code: string, make: () => Uint8Array][] = [
  ["a moment is missing", "layout.missing", renamed("m.ln_f.weight", "v.ln_f.wight")],
  ["a moment of nothing", "layout.extra", renamed("m.ln_f.weight", "n.ln_f.weight")],
  [
    "a moment of another shape",
    "layout.shape",
    () =>
      withHeader((header) => {
        header.tensors.find(([name]) => name === "v.wpe.weight")![2] = [4, 64];
      }),
  ],
  [
    "weights of another type",
    "checkpoint.type",
    () =>
      withHeader((header) => {
        const row = header.tensors.find(([name]) => name === "m.ln_f.weight")!;
        row[1] = "f16";
        row[2] = [16];
        row[4] = [[row[4][0]![0], 32, 32, row[4][0]![3]]];
      }),
  ],
  ["no state", "header.fields", () => withHeader((header) => delete (header.meta as Record<string, unknown>).training)],
  ["a plain model's kind", "header.fields", () => withHeader((header) => (header.kind = "model"))],
  ["a step that is no count", "header.fields", told("step", 1.5)],
  ["a best of 0", "checkpoint.best", told("best", 0)],
  ["a field too many", "header.fields", told("more", 1)],
  ["data that is no hash", "header.fields", told("data", "abc")],
  ["a cursor without windows", "header.fields", told("cursor", { rows: 1 })],
  ["windows that are no counts", "header.fields", told("cursor", { rows: 1, windows: ["1"] })],
];
for (const [what, code, make] of attacks)
  test(`refused: ${what}`, () => {
    expect(() => opened(make())).toThrow(expect.objectContaining({ name: "LolaError", code }));
  });

test("every byte of the tensors is guarded", () => {
  const { m, close } = openCheckpoint(path);
  for (const name of m.tensors.keys())
    for (const piece of m.read(name)) expect(piece.every((byte) => byte === 0)).toBe(true);
  close();
  const bent = Uint8Array.from(valid);
  bent[Math.floor(valid.length / 2)]! ^= 1;
  const other = join(root, "bent.lola");
  writeFileSync(other, bent);
  const checkpoint = openCheckpoint(other);
  expect(() => {
    for (const part of [checkpoint.weights, checkpoint.m, checkpoint.v])
      for (const name of part.tensors.keys()) Array.from(part.read(name));
  }).toThrow(DataError);
  checkpoint.close();
});
