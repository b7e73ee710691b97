/** Thousands of damaged files: each is read in full or refused with a DataError, quickly and without taking memory. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError } from "../../src/base/errors.ts";
import { fromHfConfig } from "../../src/checkpoint/hf-config.ts";
import { openSafeTensors, writeSafeTensors } from "../../src/checkpoint/safetensors.ts";
import { bend, bentBytes, Dice, mutant } from "./mutate.ts";
import { hfConfig, memoryOutput, readAll, timed, tinyFile } from "./tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));

const mutants = 20_000;
const slowest = 50; // ms
const largestRise = 64 << 20; // bytes

/** "read", or the code of the refusal. Anything but a DataError fails the test, with the mutant's number. */
function outcome(read: () => void, number: number): string {
  try {
    read();
    return "read";
  } catch (error) {
    if (error instanceof DataError) return error.code;
    throw new Error(`mutant ${number}`, { cause: error });
  }
}

test(`${mutants} mutants of .lola files`, async () => {
  const seeds = [
    await tinyFile("f32"),
    await tinyFile("f16"),
    await tinyFile("bf16", { store: "raw" }),
    await tinyFile("q4_32"),
  ];
  const outcomes = new Map<string, number>();
  // The heap and the compiler's code settle first; what is measured is what files make of it.
  for (let i = 0; i < 2000; i++) outcome(() => readAll(mutant(seeds[i % seeds.length]!, new Dice(4, i))), i);
  Bun.gc(true);
  // Any one window of 50 files may take so much: garbage that the collector has not met yet adds up over thousands.
  let [rise, time, before] = [0, 0, process.memoryUsage.rss()];
  for (let i = 0; i < mutants; i++) {
    const file = mutant(seeds[i % seeds.length]!, new Dice(1, i));
    let result = "";
    time = Math.max(
      time,
      timed(() => {
        result = outcome(() => readAll(file, i % 4 === 0), i);
      }, slowest),
    );
    outcomes.set(result, (outcomes.get(result) ?? 0) + 1);
    if (i % 50 !== 49) continue;
    const after = process.memoryUsage.rss();
    rise = Math.max(rise, after - before);
    before = after;
  }
  expect(time).toBeLessThan(slowest);
  expect(rise).toBeLessThan(largestRise);
  // The mutants must get past the first checks, or they test nothing: many rules are hit, and some files are still good.
  expect(outcomes.size).toBeGreaterThan(25);
  expect(outcomes.get("read")).toBeGreaterThan(mutants / 100);
  for (const code of [
    "chunk.content",
    "chunk.hash",
    "tensor.shape",
    "layout.missing",
    "file.cover",
    "tensor.quantized",
    "header.required",
  ])
    expect(outcomes.has(code)).toBe(true);
}, 60_000);

test("2,000 mutants of safetensors files", () => {
  const output = memoryOutput();
  const plan = [
    { name: "transformer.wte.weight", type: "f32" as const, shape: [4, 8], bytes: 128 },
    { name: "transformer.wpe.weight", type: "f16" as const, shape: [4, 8], bytes: 64 },
  ];
  writeSafeTensors(output, plan, ({ bytes }) => [new Uint8Array(bytes).fill(1)]);
  const valid = output.bytes();
  const length = Number(new DataView(valid.buffer).getBigUint64(0, true));
  const path = join(folder, "model.safetensors");
  const outcomes = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const dice = new Dice(2, i);
    let file = bentBytes(valid, dice);
    if (i % 2 === 0) {
      const header = JSON.parse(new TextDecoder().decode(valid.subarray(8, 8 + length)));
      for (let n = 1 + dice.below(3); n > 0; n--) bend(header, dice);
      const text = new TextEncoder().encode(JSON.stringify(header));
      file = new Uint8Array(8 + text.length + 192);
      new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
      file.set(text, 8);
    }
    writeFileSync(path, file);
    outcomes.add(
      outcome(() => {
        const opened = openSafeTensors(path);
        for (const tensor of opened.tensors.values())
          for (const piece of tensor.read()) expect(piece.length).toBeGreaterThan(0);
        opened.close();
      }, i),
    );
  }
  expect([...outcomes].sort()).toEqual([
    "read",
    "safetensors.dtype",
    "safetensors.header",
    "safetensors.offsets",
    "safetensors.shape",
    "safetensors.truncated",
  ]);
});

test("2,000 mutants of config.json", () => {
  const outcomes = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const dice = new Dice(3, i);
    const config = structuredClone(hfConfig);
    for (let n = 1 + dice.below(3); n > 0; n--) bend(config, dice);
    outcomes.add(outcome(() => fromHfConfig(config, 6, "config.json"), i));
  }
  expect(outcomes.has("read")).toBe(true);
  expect(outcomes.size).toBeGreaterThan(10);
});
