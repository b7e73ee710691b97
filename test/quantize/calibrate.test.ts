/** Calibration: sums of squares held against plain loops, tokens by expert, and experts that saw too few. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toFloats } from "../../src/base/float.ts";
import { expectedTensors } from "../../src/checkpoint/layout.ts";
import { saveLola } from "../../src/checkpoint/lola-file.ts";
import { quantMatrix, weightKind } from "../../src/checkpoint/quantized.ts";
import { openDevice } from "../../src/device/choose.ts";
import { loadModel, openSource } from "../../src/model/open.ts";
import { randomWeights } from "../../src/model/random.ts";
import { calibrate } from "../../src/quantize/calibrate.ts";
import { dummyTokenizer } from "../../src/tokenizer/layout.ts";
import { tinyConfig } from "../model/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-calibrate-"));
const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => {
  device.close();
  rmSync(folder, { recursive: true });
});

const random = randomWeights(tinyConfig, () => "f32");
const path = join(folder, "random.lola");
await saveLola(path, {
  config: tinyConfig,
  tokenizer: dummyTokenizer(tinyConfig.vocabulary),
  provenance: { made: "test", from: "test", version: "0", notes: [] },
  tensors: Array.from(random.tensors.values(), ({ name, type, shape }) => ({
    ...{ name, type, shape },
    pieces: Array.from(random.read(name), (piece) => piece.slice()),
  })),
});
const model = loadModel(device, openSource(path));

/** Bytes of all kinds, so that rows differ. */
const text = Array.from({ length: 2500 }, (_, i) => String.fromCharCode(32 + ((i * i) % 89))).join("");

test("every matrix gets importance of its inputs, 1 on average; every token has one expert of each mixture", async () => {
  const { importance, moments, short, large, seen, few, tokens } = await calibrate(model, [{ language: "und", text }]);
  expect(tokens).toBe(1 + text.length);
  const matrices = [...expectedTensors(tinyConfig)].filter(([name]) => weightKind(name));
  expect([...importance.keys()].sort()).toEqual(matrices.map(([name]) => name).sort());
  for (const [name, shape] of matrices) {
    const values = importance.get(name)!;
    expect(values).toHaveLength(quantMatrix(name, shape).inner);
    expect(values.reduce((sum, v) => sum + v, 0) / values.length).toBeCloseTo(1, 1);
    expect(Math.min(...values)).toBeGreaterThan(0);
    // Sums of squares are the moments' diagonal.
    const own = moments.get(name);
    if (!own) continue;
    expect(own).toHaveLength(values.length ** 2);
    const squares = Array.from(values, (_, k) => own[k * (values.length + 1)]!);
    const mean = squares.reduce((a, b) => a + b) / squares.length;
    for (const [k, square] of squares.entries())
      expect(Math.abs(values[k]! - Math.max(0.01, square / mean))).toBeLessThan(1e-4);
  }
  const compensable = matrices.map(([name]) => name).filter((name) => name !== "wte.weight");
  expect([...moments.keys(), ...short].sort()).toEqual(compensable.sort());
  expect([...moments.keys()].some((name) => name.includes("experts"))).toBe(true);
  expect(large).toEqual([]);
  const experts = Array.from({ length: tinyConfig.experts }, (_, e) => `h.1.moe.experts.${e}`);
  expect([...seen.keys()]).toEqual(experts);
  expect(experts.reduce((sum, name) => sum + seen.get(name)!, 0)).toBe(tokens);
  // Too few are those below 128; the others have statistics of their own.
  expect(few).toEqual(experts.filter((name) => seen.get(name)! < 128));
  const own = experts
    .filter((name) => !few.includes(name))
    .map((name) => importance.get(`${name}.c_proj.weight`)!.join());
  expect(own.length).toBeGreaterThan(1);
  expect(new Set(own).size).toBe(own.length);
});

test("where each language's tokens went adds up to what each expert saw", async () => {
  const texts = [
    { language: "eng", text: "All human beings" },
    { language: "swa", text: text.slice(0, 100) },
    { language: "eng", text: "are born free" },
  ];
  const { routing, seen } = await calibrate(model, texts);
  const [[eng], [swa]] = [routing!.get("eng")!, routing!.get("swa")!];
  const total = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
  expect([...routing!.keys()]).toEqual(["eng", "swa"]);
  expect([total(eng!), total(swa!)]).toEqual([1 + 16 + 1 + 13, 101]);
  expect(eng!.map((count, e) => count + swa![e]!)).toEqual([...seen.values()]);
  expect((await calibrate(model, texts.slice(1, 2))).routing!.get("swa")).toEqual([swa!]);
});

test("the first matrix's inputs are those of plain loops", async () => {
  const some = text.slice(0, 200);
  const { importance, moments } = await calibrate(model, [{ language: "und", text: some }]);
  const table = (name: string) => toFloats(Buffer.concat([...random.read(name)].map((p) => p.slice())), "f32");
  const [wte, wpe] = [table("wte.weight"), table("wpe.weight")];
  const { width, context, eos } = tinyConfig;
  const products = new Float64Array(width * width);
  // Bytes are tokens 6 + byte; a sequence is as long as the context.
  for (const [i, id] of [eos, ...Buffer.from(some).map((byte) => 6 + byte)].entries()) {
    const x = Array.from({ length: width }, (_, c) => wte[id * width + c]! + wpe[(i % context) * width + c]!);
    const mean = x.reduce((a, b) => a + b, 0) / width;
    const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
    for (const [a, v] of x.entries())
      for (const [b, w] of x.entries())
        products[a * width + b]! += ((v - mean) * (w - mean)) / (variance + tinyConfig.normEpsilon);
  }
  const name = "h.0.attn.c_attn.weight";
  for (const [i, product] of products.entries()) expect(Math.abs(moments.get(name)![i]! - product)).toBeLessThan(1e-2);
  const squares = Array.from({ length: width }, (_, c) => products[c * (width + 1)]!);
  const all = squares.reduce((a, b) => a + b, 0) / width;
  const found = importance.get(name)!;
  for (const [c, square] of squares.entries()) expect(Math.abs(found[c]! / (square / all) - 1)).toBeLessThan(1e-4);
});

test("experts that saw too few tokens are named, and count as their layer does", async () => {
  const { importance, seen, few } = await calibrate(model, [
    { language: "eng", text: "All human beings" },
    { language: "swa", text: "Watu wote" },
  ]);
  expect(few).toEqual([...seen.keys()]);
  for (const part of ["c_fc", "c_proj"])
    expect(new Set(few.map((name) => importance.get(`${name}.${part}.weight`)!.join())).size).toBe(1);
});

test("it stops when it is told to", async () => {
  const controller = new AbortController();
  controller.abort();
  const { signal } = controller;
  await expect(calibrate(model, [{ language: "eng", text: "x" }], { signal })).rejects.toMatchObject({
    name: "AbortError",
  });
});
