/** A model that does not fit is refused before it is loaded, with a setting that does. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LolaError } from "../../src/base/errors.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { inOrder } from "../../src/checkpoint/layout.ts";
import { openLola, saveLola } from "../../src/checkpoint/lola-file.ts";
import type { TensorType } from "../../src/checkpoint/tensor.ts";
import { planWithin } from "../../src/cli/memory.ts";
import { sessionOptions } from "../../src/cli/model.ts";
import { openCpu } from "../../src/device/cpu/cpu.ts";
import { openReference } from "../../src/device/reference.ts";
import { planMemory } from "../../src/model/memory.ts";
import { ExpertPool } from "../../src/model/offload-pool.ts";
import { randomWeights } from "../../src/model/random.ts";
import { Session, type SessionOptions } from "../../src/model/session.ts";
import { loadWeights } from "../../src/model/weights.ts";
import { dummyTokenizer } from "../../src/tokenizer/layout.ts";
import { tinyConfig } from "../model/tiny.ts";
import { lola } from "./lola.ts";

const root = mkdtempSync(join(tmpdir(), "lola-memory-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Multiples of 16 columns, which the CPU engine does not pad. */
const config = {
  ...tinyConfig,
  vocabulary: 512,
  context: 1024,
  width: 64,
  heads: 4,
  inner: 128,
  experts: 8,
  layers: 6,
};

async function made(name: string, type: TensorType): Promise<string> {
  const matrix = /(wte|c_\w+)\.weight$/;
  const weights = randomWeights(config, (tensor) => (matrix.test(tensor) ? type : "f32"));
  const path = join(root, `${name}.lola`);
  const provenance = { made: "test", from: "random bits", version: "0", notes: [] };
  const tensors = inOrder({ config, tensors: weights.tensors }).map(({ name, type, shape }) => {
    return { name, type, shape, pieces: weights.read(name) };
  });
  await saveLola(path, { config, tokenizer: dummyTokenizer(512), provenance, tensors }, { store: "raw" });
  return path;
}

const [f32, f16, q4] = [await made("f32", "f32"), await made("f16", "f16"), await made("q4", "q4_32")];
const refusal = (path: string, memoryLimit: number, options: SessionOptions = {}): LolaError | undefined => {
  const device = openCpu({ threads: 1, memoryLimit });
  const source = openLola(fileBytes(path));
  try {
    planWithin(device, source, options);
    expect(device.memory).toBe(0);
    return undefined;
  } catch (error) {
    expect(device.memory).toBe(0);
    if (error instanceof LolaError) return error;
    throw error;
  } finally {
    source.close();
    device.close();
  }
};

test("the plan is what is taken", () => {
  for (const [path, slots] of [
    [f32, undefined],
    [q4, undefined],
    [q4, 5],
  ] as const) {
    const device = openCpu({ threads: 1 });
    const source = openLola(fileBytes(path));
    const plan = planMemory(device, source, { context: 300, chunk: 100 }, slots);
    const pool = slots === undefined ? undefined : new ExpertPool(device, config, source, slots);
    const weights = loadWeights(device, config, source, pool);
    expect(device.memory).toBe(plan.weights);
    new Session(device, config, weights, { context: 300, chunk: 100 });
    expect(device.memory).toBe(plan.total - plan.program);
    expect(plan.cache).toBe(2 * 4 * config.layers * config.width * 300);
    if (path === f32) expect(plan.mapped).toBeLessThan(plan.weights / 2);
    else if (slots === undefined) expect(plan.mapped).toBe(plan.weights);
    source.close();
    device.close();
  }
});

test("refused below its needs, with the numbers and what fits", () => {
  const whole = (path: string, options: SessionOptions = {}) => {
    const device = openCpu({ threads: 1 });
    const source = openLola(fileBytes(path));
    const { total } = planMemory(device, source, options);
    source.close();
    device.close();
    return total;
  };
  const needed = whole(f32);
  expect(refusal(f32, needed)).toBeUndefined();
  const refused = refusal(f32, needed - 1)!;
  expect([refused.kind, refused.exitCode, refused.hint]).toEqual(["device", 4, "--cache f16"]);
  expect(refused.message).toMatch(
    /f32\.lola needs \d+ MB of memory \(weights [\d.]+ MB, [\d.]+ kB of them mapped; cache 3\.15 MB; the rest \d+ MB\); \d+ MB are left$/,
  );
  // The setting that is named does fit, and what is nearer does not.
  expect(refusal(f32, whole(f32, { cache: "f16" }) - 1)!.hint).toBe("--cache q8");
  const fewer = (context: number) => ({ context, cache: "q8" }) as const;
  expect(refusal(f32, whole(f32, fewer(1024)) - 1, fewer(1024))!.hint).toBe("--ctx 960");
  expect(refusal(f32, whole(f32, fewer(960)), fewer(960))).toBeUndefined();
  expect(refusal(f32, whole(f32, fewer(960)) - 1, fewer(1024))!.hint).toBe("--ctx 896");
  const least = whole(f32, fewer(128));
  expect(refusal(f32, least, fewer(1024))!.hint).toBe("--ctx 128");
  expect(refusal(f32, least - 1, fewer(128))!.hint).toMatch(/^--memory \d+MiB$/);
  const small = whole(q4, fewer(128));
  expect(refusal(f32, small, fewer(128))!.hint).toBe(`lola quantize ${f32} --type q4 -o small.lola`);
  expect(refusal(f32, 1 << 20)!.hint).toBe("a smaller model, or a machine with more memory");
});

test("a binding that is too large is refused before anything is loaded; the reference engine counts its own way", () => {
  const source = openLola(fileBytes(f16));
  const gpu = (bindingLimit: number) => ({
    info: { kind: "gpu", name: "test", software: false, bindingLimit, details: {} } as const,
  });
  const { weights, mapped } = planMemory(gpu(1 << 20), source);
  expect(mapped).toBe(0);
  expect(() => planMemory(gpu(1 << 16), source)).toThrow(
    expect.objectContaining({
      kind: "device",
      message: expect.stringContaining("largest binding of this GPU is 65536"),
    }),
  );
  const reference = openReference();
  const wide = planMemory(reference, source);
  loadWeights(reference, config, source);
  expect(wide.weights).toBe(reference.memory);
  expect(wide.weights).toBeGreaterThan(1.5 * weights);
  source.close();
});

test("--ctx is at most the model's", async () => {
  const source = openLola(fileBytes(q4));
  expect(sessionOptions(source, { ctx: 1024, cache: "f32" })).toEqual({ context: 1024, cache: "f32" });
  expect(() => sessionOptions(source, { ctx: 1025, cache: "f32" })).toThrow(
    expect.objectContaining({ kind: "usage", message: `--ctx 1025: ${q4} has 1024 positions`, hint: "--ctx 1024" }),
  );
  source.close();
});

test("lola generate --ctx", async () => {
  const generate = (...args: string[]) => lola(["generate", "-m", q4, "--device", "cpu", "--greedy", ...args]);
  const ids = Array.from({ length: 20 }, (_, i) => 300 + i).join();
  const full = await generate("--ctx", "32", "--prompt-ids", ids, "--json", "-n", "100");
  expect(full.code).toBe(0);
  const [sample] = JSON.parse(full.out).samples;
  expect([sample.finish_reason, sample.ids.length]).toEqual(["context", 12]);
  const long = await generate("--ctx", "16", "--prompt-ids", ids);
  expect([long.code, long.err]).toEqual([2, expect.stringContaining("context holds 16")]);
  expect((await generate("--ctx", "2000", "a")).code).toBe(2);
});

test("lola generate keeps no more positions than it can fill, and writes the same text", async () => {
  const ids = Array.from({ length: 20 }, (_, i) => 300 + i).join();
  const generate = async (...args: string[]) => {
    const flags = ["-m", q4, "--device", "cpu", "--greedy", "--prompt-ids", ids, "--json"];
    const { out } = await lola(["generate", ...flags, ...args]);
    const { samples, memory } = JSON.parse(out);
    return { ids: samples[0].ids as number[], cache: memory.cache as number };
  };
  const each = config.layers * 2 * config.width * 4;
  const [few, all, many] = [
    await generate("-n", "30"),
    await generate("-n", "30", "--ctx", "1024"),
    await generate("-n", "600"),
  ];
  expect([few.cache / each, all.cache / each, many.cache / each]).toEqual([512, 1024, 620]);
  expect(few.ids).toEqual(all.ids);
  expect(many.ids).toHaveLength(600);
  expect(many.ids.slice(0, 30)).toEqual(few.ids);
}, 60_000);
