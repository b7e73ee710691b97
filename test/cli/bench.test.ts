/** `lola bench` as a command: random models by shape, kernels by name, and what is refused. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseShape } from "../../src/cli/bench-model.ts";
import { home, lola, root } from "./lola.ts";

const small = ["--shape", "32-4-2-64-100-3", "--prompt", "5", "-n", "3", "--rounds", "2", "--device", "reference"];

test("a random model of a shape is timed, in any type", async () => {
  for (const type of ["f32", "f16", "bf16", "q8", "q4"]) {
    const ran = await lola(["bench", "all", ...small, "--type", type, "--json"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    const { model, device, speed, kernels, steps_per_token } = JSON.parse(ran.out);
    expect(model.name).toBe(`random 32-4-2-64-100-3, ${type}`);
    expect(device.kind).toBe("reference");
    expect(speed.prefill).toMatchObject({ tokens: 5 });
    expect(speed.decode.tokens_per_second).toBeGreaterThan(0);
    const steps = kernels.decode.reduce((sum: number, k: { steps: number }) => sum + k.steps, 0);
    expect(steps).toBe(steps_per_token);
  }
});

test("all formats of one shape stand side by side", async () => {
  const args = ["bench", "formats", ...small];
  const ran = await lola([...args, "--json"]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  const { model, formats } = JSON.parse(ran.out);
  expect(model.name).toBe("random 32-4-2-64-100-3");
  expect(formats.map((f: { type: string }) => f.type)).toEqual(["f32", "f16", "q8", "q4"]);
  for (const { device, prefill, decode } of formats) {
    expect(device.kind).toBe("reference");
    expect(prefill.tokens).toBe(5);
    expect(decode.tokens).toBe(3);
    expect(decode.tokens_per_second).toBeGreaterThan(0);
  }
  // Bytes of a token: those of the weights that it meets, the smaller the format.
  const moved = formats.map((f: { decode: { bandwidth: number; seconds: number } }) =>
    Math.round(f.decode.bandwidth * f.decode.seconds),
  );
  expect(moved).toEqual([...moved].sort((a, b) => b - a));
  expect(new Set(moved).size).toBe(4);
  const shown = await lola(args);
  expect(shown.out).toMatch(/^reference: .*\n +memory +decode\/s/m);
  expect(shown.out).toMatch(/^q4 +\d/m);
});

test("kernels are chosen by a part of their name", async () => {
  const { out } = await lola(["bench", "kernels", "norm", ...small]);
  expect(out).toContain("norm/norm_forward");
  expect(out).not.toContain("matmul");
  const ran = await lola(["bench", "kernels", "nrom", ...small]);
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain("norm/norm_forward");
});

test("training steps of a random model are timed", async () => {
  const shape = ["--shape", "16-2-2-32-64-2", "--batch", "2", "--context", "8", "--vocabulary", "70"];
  const ran = await lola(["bench", "train", ...shape, "--steps", "2", "--device", "reference", "--json"]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  const { model, training } = JSON.parse(ran.out);
  expect(model.name).toBe("random 16-2-2-32-64-2, vocabulary 70, batch 2 × 8");
  expect(training.tokens).toBe(16);
  // 6 · (2 · (4 · 16² + 2 · 16 · 32) + 2 · 16 + 70 · 16) · 16 + 3 · 4 · 2 · 2 · 8² · 16
  expect(training.flops).toBe(6 * (2 * 2048 + 32 + 1120) * 16 + 49152);
  expect(training.flops_per_cpu_second).toBeGreaterThan(0);
});

describe("make-model", () => {
  const sizes = ["--width", "16", "--layers", "2", "--heads", "2", "--experts", "3", "--context", "32"];
  const make = (path: string, ...more: string[]) =>
    lola(["bench", "make-model", ...sizes, "--vocabulary", "270", "-o", join(home, path), ...more]);
  const generate = (path: string) =>
    lola(["generate", "All", "--greedy", "-n", "4", "-m", join(home, path), "--device", "reference", "--json"]);

  test.each(["f16", "q4"])("writes a file of %s that generates, the same each time", async (type) => {
    const path = `random-${type}.lola`;
    const ran = await make(path, "--type", type, "--json");
    expect(ran).toMatchObject({ code: 0, err: "" });
    const { model, made } = JSON.parse(ran.out);
    expect(model.name).toBe(`random 16-2-2-64-270-3, ${type}`);
    const first = readFileSync(join(home, path));
    expect(made).toMatchObject({ path: join(home, path), bytes: first.length, parameters: 15728 });
    expect(await make(path, "--type", type)).toMatchObject({ code: 2, out: "" });
    expect((await make(path, "--type", type, "--force")).out).toContain("15,728");
    expect(readFileSync(join(home, path)).equals(first)).toBe(true);
    const { samples } = JSON.parse((await generate(path)).out);
    expect(samples[0].ids.length).toBeGreaterThan(0);
    expect((await lola(["models", "show", join(home, path)])).out).toContain("nothing was learnt");
  });

  test("gives tensors the types that quantizing does: the first layer of q4 has 8 bits", async () => {
    await make("layers.lola", "--type", "q4");
    const { model } = JSON.parse((await lola(["models", "show", join(home, "layers.lola"), "--json"])).out);
    const types = new Map(model.tensors.map(({ name, type }: { name: string; type: string }) => [name, type]));
    expect(types.get("h.0.mlp.c_fc.weight")).toBe("q8_64");
    expect(types.get("h.1.attn.c_attn.weight")).toBe("q4_64");
    expect(types.get("h.1.moe.gate.weight")).toBe("f32");
  });

  test("writes the published layout, with the weights of the file", async () => {
    expect(await make("random-hf", "--type", "f16", "--to", "hf")).toMatchObject({ code: 0, err: "" });
    await make("random-f16.lola", "--type", "f16", "--force");
    const ids = async (path: string) => JSON.parse((await generate(path)).out).samples[0].ids;
    expect(await ids("random-hf")).toEqual(await ids("random-f16.lola"));
    expect(await make("random-hf4", "--type", "q4", "--to", "hf")).toMatchObject({ code: 2, out: "" });
  });

  test("refuses what is no model", async () => {
    expect((await make("x.lola", "--vocabulary", "200")).err).toContain("262 at least");
    expect((await make("x.lola", "--heads", "3")).err).toContain("do not divide");
    expect((await make("x.lola", "--preset", "nano", "--shape", "16-2-2-64-270-3")).code).toBe(2);
    expect((await lola(["bench", "make-model"])).err).toContain("missing -o FILE");
    expect(existsSync(join(home, "x.lola"))).toBe(false);
  });
});

test("a model that does not fit is refused before it is loaded", async () => {
  const ran = await lola(["bench", "generate", "--shape", "16384-48-8-65536-8192-16", "--device", "reference"]);
  expect(ran).toMatchObject({ code: 4, out: "" });
  expect(ran.err).toMatch(/random 16384-48-8-65536-8192-16, f32 needs [\d.]+ TB of memory .* are left/);
});

test("what cannot be measured is misuse", async () => {
  const model = join(root, "../shared/fixtures/tiny-lola");
  for (const args of [
    ["generate", "--shape", "32-4-2"],
    ["generate", "--shape", "33-4-2-64-100-3"],
    ["generate", "--shape", "32-4-2-64-100-3", "-m", model],
    ["generate", "-m", model, "--prompt", "60", "-n", "30", "--device", "reference"],
    ["machine", "--device", "software"],
    ["train", "--preset", "nano", "--shape", "16-2-2-32-64-2"],
    ["train", "-m", model],
    ["generate", "extra"],
    ["tokenizer", "-m", model],
    ["formats", "-m", model],
  ]) {
    expect(await lola(["bench", ...args])).toMatchObject({ code: 2, out: "" });
  }
});

test("a shape is six numbers", () => {
  expect(parseShape("512-8-4-2048-8192-16", 100)).toMatchObject({
    width: 512,
    layers: 8,
    heads: 4,
    inner: 2048,
    vocabulary: 8192,
    experts: 16,
    context: 100,
  });
  for (const bad of ["", "1-1-1-1-1", "1-1-1-1-1-1-1", "1-1-1-1-1-0", "a-1-1-1-1-1", "1.5-1-1-1-1-1"]) {
    expect(() => parseShape(bad, 10)).toThrow("expected width-layers");
  }
});
