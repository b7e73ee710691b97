/** Muon's steps against plain loops in double precision, on both engines. */
import { afterAll, describe, expect, test } from "bun:test";
import { toFloats } from "../../src/base/float.ts";
import { openDevice } from "../../src/device/choose.ts";
import { initialWeights } from "../../src/model/init.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import { muon } from "../../src/train/muon.ts";
import type { Stored } from "../../src/train/parameters.ts";
import { tinyModel, tinyRun } from "./tiny.ts";

const { recipe } = tinyRun();
const rate = 0.01;
const batch = {
  inputs: Uint32Array.from({ length: 32 }, (_, i) => (i * 37) % 200),
  targets: Uint32Array.from({ length: 32 }, (_, i) => (i * 11) % 200),
};

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const transpose = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const scaled = (a: Matrix, by: number): Matrix => a.map((row) => row.map((x) => x * by));
const sum = (...all: Matrix[]): Matrix =>
  all[0]!.map((row, i) => row.map((_, j) => all.reduce((s, m) => s + m[i]![j]!, 0)));
const norm = (a: Matrix): number => Math.sqrt(a.flat().reduce((s, x) => s + x * x, 0));

/** Newton–Schulz as published: of a matrix or, where it is tall, of its transpose. */
function orthogonal(m: Matrix): Matrix {
  const tall = m.length > m[0]!.length;
  let x = scaled(tall ? transpose(m) : m, 1 / norm(m));
  for (let i = 0; i < muon.iterations; i++) {
    const a = product(x, transpose(x));
    x = sum(scaled(x, muon.a), product(sum(scaled(a, muon.b), scaled(product(a, a), muon.c)), x));
  }
  return tall ? transpose(x) : x;
}

/** `parts` matrices side by side. */
function split(values: Float32Array, rows: number, parts: number): Matrix[] {
  const cols = values.length / rows / parts;
  return Array.from({ length: parts }, (_, p) =>
    Array.from({ length: rows }, (_, r) => [...values.subarray((r * parts + p) * cols, (r * parts + p + 1) * cols)]),
  );
}

async function read(training: TrainingEngine, what: Stored): Promise<Map<string, Float32Array>> {
  const tensors = new Map<string, Float32Array>();
  for await (const { name, pieces } of training.stored(what))
    for await (const piece of pieces) tensors.set(name, toFloats(piece, "f32").slice());
  return tensors;
}

for (const engine of ["cpu", "software"] as const)
  describe(engine, async () => {
    const { device } = await openDevice(engine);
    afterAll(() => device.close());
    const shape = { batch: 2, time: 16, recompute: false, dropout: 0 };
    const open = (optimizer: "adamw" | "muon") => {
      const training = new TrainingEngine(device, tinyModel, { ...recipe, optimizer }, shape, 1n);
      training.load("weights", initialWeights(tinyModel, 1n, 0.2));
      return training;
    };

    for (const [name, rows, parts] of [
      ["h.0.attn.c_attn.weight", 16, 3],
      ["h.1.attn.c_proj.weight", 16, 1],
      ["h.0.mlp.c_fc.weight", 16, 1],
      ["h.0.mlp.c_proj.weight", 32, 1],
      ["h.1.moe.experts.1.c_fc.weight", 16, 1],
      ["h.1.moe.experts.0.c_proj.weight", 32, 1],
    ] as const)
      test(`two steps of ${name}`, async () => {
        const training = open("muon");
        const before = split((await read(training, "weights")).get(name)!, rows, parts);
        let momentum = before.map((m) => scaled(m, 0));
        let wanted = before;
        for (let step = 1; step <= 2; step++) {
          const { norm: length } = await training.step([batch], step, rate);
          const clip = Math.min(1, recipe.clip / (length + 1e-6));
          const slopes = split((await read(training, "gradients")).get(name)!, rows, parts).map((g) => scaled(g, clip));
          momentum = momentum.map((m, i) => sum(scaled(m, muon.beta), scaled(slopes[i]!, 1 - muon.beta)));
          const ahead = momentum.map((m, i) => sum(scaled(m, muon.beta), scaled(slopes[i]!, 1 - muon.beta)));
          const by = rate * muon.length * Math.sqrt(Math.max(rows, before[0]![0]!.length));
          wanted = wanted.map((w, i) =>
            sum(scaled(w, 1 - rate * recipe.weightDecay), scaled(orthogonal(ahead[i]!), -by)),
          );
        }
        const after = split((await read(training, "weights")).get(name)!, rows, parts);
        const moved = norm(sum(after[0]!, scaled(before[0]!, -1)));
        expect(moved).toBeGreaterThan(rate);
        for (const [i, matrix] of after.entries())
          expect(norm(sum(matrix, scaled(wanted[i]!, -1)))).toBeLessThan(1e-4 * moved);
      });

    test("what is no matrix of a layer takes AdamW's step", async () => {
      const [one, other] = [open("muon"), open("adamw")];
      for (const training of [one, other]) await training.step([batch], 1, rate);
      const [a, b] = [await read(one, "weights"), await read(other, "weights")];
      let same = 0;
      for (const [name, values] of a) {
        const matrix = /c_(attn|proj|fc)\.weight$/.test(name);
        expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(b.get(name)!.buffer)) === 0, name).toBe(!matrix);
        if (!matrix) same++;
      }
      expect(same).toBeGreaterThan(10);
    });
  });
