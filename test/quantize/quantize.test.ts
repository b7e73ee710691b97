/** Models through the quantizer: the same bytes every time, errors as they are, nothing half-written. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { groupingOf, quantize } from "../../src/base/quant.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { FloatReader } from "../../src/checkpoint/floats.ts";
import { openLola } from "../../src/checkpoint/lola-file.ts";
import { quantMatrix, weightKind } from "../../src/checkpoint/quantized.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { openCpu } from "../../src/device/cpu/cpu.ts";
import { openReference } from "../../src/device/reference.ts";
import { openSource } from "../../src/model/open.ts";
import { MatrixQuantizer } from "../../src/quantize/matrix.ts";
import { planFor, presetChoice } from "../../src/quantize/plan.ts";
import { quantizeModel } from "../../src/quantize/quantize.ts";
import { bell, madeModel } from "./made.ts";

const root = mkdtempSync(join(tmpdir(), "lola-quantize-"));
afterAll(() => rmSync(root, { recursive: true }));
const device = openReference();
afterAll(() => device.close());

let count = 0;
const fresh = () => join(root, `${count++}.lola`);
const floats = (model: ModelSource, name: string): Float32Array =>
  Float32Array.from([...new FloatReader(model).read(name)].flatMap((piece) => [...piece]));

describe("one matrix", () => {
  const read = async (
    slabFloats: number,
    name: string,
    shape: [number, number],
    type: "q8_32" | "q4_64",
    importance?: Float32Array<ArrayBuffer>,
  ) => {
    const values = bell(shape[0] * shape[1], 5);
    const quantizer = new MatrixQuantizer(device, [{ name, type, shape }], slabFloats);
    const { inner, cols, turned } = quantMatrix(name, shape);
    const sums = { error: 0, energy: 0 };
    const told: number[] = [];
    const pieces = [values.subarray(0, 501), values.subarray(501, 1003), values.subarray(1003)];
    const weights = importance ?? new Float32Array(inner).fill(1);
    const words: Uint8Array[] = [];
    for await (const piece of quantizer.quantize({ name, type, shape }, pieces, weights, sums, (done) =>
      told.push(done),
    ))
      words.push(piece.slice());
    quantizer.close();
    const rows = turned ? values.map((_, i) => values[(i % cols) * inner + Math.floor(i / cols)]!) : values;
    return { words: Buffer.concat(words), wanted: quantize(rows, groupingOf(type), inner, cols, weights), told, sums };
  };

  for (const [name, shape] of [
    ["wte.weight", [83, 41]],
    ["h.0.mlp.c_fc.weight", [200, 41]],
  ] as const)
    test(`${name}: any slabs give the words of the whole`, async () => {
      const held = device.memory;
      const [size] = [shape[0] * shape[1]];
      for (const type of ["q8_32", "q4_64"] as const) {
        const whole = await read(1 << 24, name, [...shape], type);
        expect(Buffer.compare(whole.words, Buffer.from(whole.wanted.buffer))).toBe(0);
        expect(whole.told).toEqual([size]);
        const slabs = await read(3000, name, [...shape], type);
        expect(Buffer.compare(slabs.words, whole.words)).toBe(0);
        expect(slabs.told.length).toBeGreaterThan(1);
        expect(slabs.told.at(-1)).toBe(size);
        expect(slabs.sums.error).toBeCloseTo(whole.sums.error, 10);
        expect(slabs.sums.energy).toBeCloseTo(whole.sums.energy, 6);
      }
      expect(device.memory).toBe(held);
    });

  test("importance follows its input through slabs", async () => {
    const importance = Float32Array.from({ length: 200 }, (_, k) => (k % 7 === 0 ? 100 : 0.1));
    const { words, wanted } = await read(3000, "h.0.mlp.c_fc.weight", [200, 41], "q4_64", importance);
    expect(Buffer.compare(words, Buffer.from(wanted.buffer))).toBe(0);
    const plain = await read(3000, "h.0.mlp.c_fc.weight", [200, 41], "q4_64");
    expect(Buffer.compare(words, plain.words)).not.toBe(0);
  });
});

describe("tiny-lola", () => {
  const source = openSource(join(import.meta.dir, "../../../shared/fixtures/tiny-lola"));
  afterAll(() => source.close());
  const plan = planFor(source, presetChoice("mixed"));

  test("the same bytes from any engine and any number of threads", async () => {
    const [path, other] = [fresh(), fresh()];
    const bytes: Buffer[] = [];
    for (const engine of [device, openCpu({ threads: 1 }), openCpu({ threads: 3 })]) {
      await quantizeModel(engine, source, path, plan);
      bytes.push(readFileSync(path));
      if (engine !== device) engine.close();
    }
    expect(bytes.map((file) => Buffer.compare(file, bytes[0]!))).toEqual([0, 0, 0]);
    expect(bytes[0]!.length).toBeGreaterThan(300_000);
    const cpu = openCpu({ threads: 2 });
    const reports = [await quantizeModel(cpu, source, path, plan), await quantizeModel(cpu, source, other, plan)];
    cpu.close();
    expect(reports[0]).toEqual(reports[1]!);
  }, 60_000);

  test("errors and sizes told are those of the file", async () => {
    const a = fresh();
    const told: number[] = [];
    const report = await quantizeModel(device, source, a, plan, { progress: (done, all) => told.push(done / all) });
    expect(told).toEqual(told.toSorted((x, y) => x - y));
    expect(told.at(-1)).toBe(1);

    const model = openLola(fileBytes(a));
    model.verify();
    expect(model.identity).toBe(report.identity);
    expect(report.after).toBe([...model.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0));
    expect(report.before).toBe([...source.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0));
    const totals: Record<string, [number, number]> = {};
    for (const { name, type } of model.tensors.values()) {
      const [old, now] = [floats(source, name), floats(model, name)];
      const kind = weightKind(name);
      if (!kind) {
        expect([type, now]).toEqual([source.tensors.get(name)!.type, old]);
        continue;
      }
      const error = old.reduce((sum, w, i) => sum + (now[i]! - w) ** 2, 0);
      const energy = old.reduce((sum, w) => sum + w * w, 0);
      const cost = report.matrices.find((matrix) => matrix.name === name)!;
      expect(cost.nmse / (error / energy)).toBeCloseTo(1, 4);
      // Uniform rounding: 1/12 of a step squared, over ranges of bell-shaped weights.
      expect(cost.nmse).toBeLessThan(kind === "experts" ? 0.012 : 5e-5);
      totals[kind] ??= [0, 0];
      totals[kind][0] += error;
      totals[kind][1] += energy;
    }
    for (const [kind, { nmse, tensors, before, after }] of Object.entries(report.kinds)) {
      const [error, energy] = totals[kind]!;
      expect(nmse / (error / energy)).toBeCloseTo(1, 4);
      const some = report.matrices.filter((matrix) => matrix.kind === kind);
      expect([tensors, before, after]).toEqual([
        some.length,
        some.reduce((sum, matrix) => sum + matrix.before, 0),
        some.reduce((sum, matrix) => sum + matrix.after, 0),
      ]);
    }
    expect(report.worst!.nmse).toBe(Math.max(...report.matrices.map(({ nmse }) => nmse)));
    model.close();
  }, 60_000);

  test("a stop leaves nothing", async () => {
    const path = fresh();
    const controller = new AbortController();
    const progress = (done: number, all: number) => {
      if (done > all / 2) controller.abort();
    };
    const stopped = quantizeModel(device, source, path, plan, { progress, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(root).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(device.memory).toBe(0);
  }, 60_000);
});

describe("weights that are none", () => {
  for (const [value, name] of [
    [Number.NaN, "h.1.moe.experts.1.c_fc.weight"],
    [Number.NEGATIVE_INFINITY, "wte.weight"],
  ] as const)
    test(`${value} in ${name}`, async () => {
      const bent = madeModel(undefined, "f32", (tensor, values) => {
        if (tensor === name) values[1000] = value;
      });
      const path = fresh();
      const width = bent.tensors.get(name)!.shape[1]!;
      const failed = quantizeModel(device, bent, path, planFor(bent, presetChoice("q8")));
      const place = `[${Math.floor(1000 / width)}, ${1000 % width}]`;
      await expect(failed).rejects.toMatchObject({
        code: "weights.finite",
        message: `${name}${place} is ${value}: no scale covers it`,
      });
      expect(existsSync(path)).toBe(false);
    });

  test("too large for f16", async () => {
    const bent = madeModel(undefined, "f32", (name, values) => {
      if (name === "h.0.attn.c_proj.weight") values[3] = 70_000;
    });
    const failed = quantizeModel(device, bent, fresh(), planFor(bent, presetChoice("q8", 64, { attention: "f16" })));
    await expect(failed).rejects.toMatchObject({
      code: "weights.overflow",
      message: "h.0.attn.c_proj.weight has the weight 70000, which f16 cannot hold",
    });
  });
});
