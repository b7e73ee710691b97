/** `--adapter`: what is found where, what is refused, what is told; PEFT's folders through the command line. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { model, savedAdapter } from "./adapter.ts";
import { home, lola, root } from "./lola.ts";

const engine = ["--device", "cpu", "--threads", "1"];
const say = ["--greedy", "-n", "6", "All human"];
const generate = (...args: string[]) => lola(["generate", ...engine, ...args, ...say]);
const json = async (...args: string[]) => {
  const ran = await generate("--json", ...args);
  expect(ran.err).toBe("");
  return JSON.parse(ran.out);
};

let [one, two]: string[] = [];
beforeAll(async () => {
  one = await savedAdapter("one.lola");
  two = await savedAdapter("two.lola", { rank: 2, targets: ["attn.c_attn"] }, { seed: 2, plain: true });
});

describe("lola generate --adapter", () => {
  test("changes the text and is told; half of it is another, nothing of it the model alone; -m is found", async () => {
    const alone = (await json("-m", model)).samples[0];
    const whole = await json("-m", model, "--adapter", one!);
    expect(whole.adapters).toEqual([{ name: one, strength: 1 }]);
    expect(whole.samples[0].logprob).not.toBe(alone.logprob);
    const found = await json("--adapter", one!, "--adapter", `${two}:-0.5`);
    // The fixture, or the same weights that another test has stored.
    expect(found.model.name).toMatch(/tiny(-lola|\.lola)$/);
    expect(found.adapters).toEqual([
      { name: one, strength: 1 },
      { name: two, strength: -0.5 },
    ]);
    expect(found.samples[0].logprob).not.toBe(whole.samples[0].logprob);
    const nothing = (await json("--adapter", `${one}:0`)).samples[0];
    expect(nothing.ids).toEqual(alone.ids);
    expect(nothing.logprob).toBeCloseTo(alone.logprob, 4);
  });

  test("the plan counts it", async () => {
    const { memory } = await json("-m", model);
    const adapted = (await json("--adapter", one!)).memory;
    expect(adapted.weights - memory.weights).toBeGreaterThan(readFileSync(one!).length / 2);
    expect(adapted.total - memory.total).toBeGreaterThan(adapted.weights - memory.weights);
  });

  test("a run's best, or before there is one its newest, stands for the run", async () => {
    const run = join(home, "run");
    mkdirSync(join(run, "checkpoints"), { recursive: true });
    renameSync(await savedAdapter("best.lola"), join(run, "checkpoints", "best.lola"));
    expect((await json("--adapter", `${run}:0.5`)).adapters[0].strength).toBe(0.5);
  });

  test("on a quantized base, whose own adapter it is", async () => {
    const small = join(home, "small.lola");
    await lola(["quantize", model, "-o", small, "--type", "q8", "--eval", "none", ...engine]);
    const adapter = await savedAdapter("of-small.lola", {}, { of: small });
    const alone = (await json("-m", small)).samples[0];
    expect((await json("--adapter", adapter)).samples[0].logprob).not.toBe(alone.logprob);
    const ran = await generate("-m", small, "--adapter", one!);
    expect(ran).toMatchObject({ code: 3, out: "" });
    expect(ran.err).toMatch(/one\.lola is for the model .+tiny-lola \([0-9a-f]{12}…\), .+small\.lola is another/);
  });

  test("what is no adapter, not there, or of experts that take turns is refused in one line", async () => {
    const refused = async (code: number, says: RegExp, ...args: string[]) => {
      const ran = await generate(...args);
      expect(ran).toMatchObject({ code, out: "" });
      expect(ran.err).toMatch(/^lola: .+\ntry: .+\n$/);
      expect(ran.err).toMatch(says);
    };
    await refused(2, /none\.lola does not exist/, "--adapter", join(home, "none.lola"));
    await refused(3, /README\.md holds no adapter/, "--adapter", join(root, "README.md"));
    await refused(3, /tiny-lola holds no adapter/, "--adapter", model);
    await refused(2, /all experts on the device/, "--adapter", one!, "--memory", "1MiB");
    await refused(3, /holds "adapter", not a model\ntry: --adapter/, "-m", one!);
  });
});

test("lola models show tells what it is, verify reads it, list names its model", async () => {
  const shown = await lola(["models", "show", one!]);
  for (const text of [
    /of the model +.+tiny-lola/,
    /rank +3/,
    /template +alpaca/,
    /h\.1\.moe\.experts\.0\.c_fc\.lora_a/,
  ])
    expect(shown.out).toMatch(text);
  const { adapter } = JSON.parse((await lola(["models", "show", two!, "--json"])).out);
  expect(adapter).toMatchObject({ rank: 2, alpha: 6, modules: 4, template: null, parameters: 4 * 2 * (32 + 96) });
  expect((await lola(["models", "verify", one!])).out).toContain("one.lola: whole, ");
  const stored = join(home, "lola/models");
  mkdirSync(stored, { recursive: true });
  await Bun.write(join(stored, "tone.lola"), readFileSync(two!));
  expect((await lola(["models"])).out).toMatch(/tone .+adapter of .+tiny-lola/);
  expect((await json("--adapter", "tone:0.25")).adapters[0].strength).toBe(0.25);
});

test("to PEFT's folder and back: the same bytes of tensors, usable as it is", async () => {
  const folder = join(home, "peft");
  const exported = await lola(["export", one!, "--to", "peft", "-o", folder]);
  expect(exported).toMatchObject({ code: 0, err: "" });
  expect(exported.out).toContain("adapter_model.safetensors, adapter_config.json");
  const back = join(home, "back.lola");
  const imported = await lola(["import", folder, "-m", model, "-o", back]);
  expect(imported).toMatchObject({ code: 0, err: "" });
  expect(imported.out).toContain("an adapter of");
  const there = join(home, "peft-again");
  await lola(["export", back, "--to", "peft", "-o", there]);
  const weights = (dir: string) => readFileSync(join(dir, "adapter_model.safetensors"));
  expect(weights(there)).toEqual(weights(folder));
  const used = (await json("-m", model, "--adapter", folder)).samples[0];
  expect(used).toEqual((await json("--adapter", one!)).samples[0]);
  expect(await lola(["import", folder, "-m", model, "-o", back])).toMatchObject({ code: 2, out: "" });
  expect(await lola(["import", folder, "--dtype", "f16", "-o", join(home, "x.lola")])).toMatchObject({ code: 2 });
  expect((await lola(["models", "show", folder])).err).toContain("holds an adapter of PEFT's");
});
