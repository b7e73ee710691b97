/** `lola generate --memory`, `--lang`: the same text from fewer experts, what is told of it, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { home, lola, root } from "./lola.ts";

/** Three mixtures of experts, trained on the Declaration in ten languages. */
const fixture = join(root, "../shared/fixtures/udhr-lola");
const engine = ["--device", "cpu", "--threads", "1"];
const folder = mkdtempSync(join(home, "offload-"));
const model = join(folder, "small.lola");
afterAll(() => rmSync(folder, { recursive: true }));

const generate = (...args: string[]) => lola(["generate", "-m", model, ...engine, "--greedy", "-n", "12", ...args]);

let least = 0;
beforeAll(async () => {
  const texts = ["eng", "fra", "swh"].map((language) => join(fixture, "texts", `${language}.txt`));
  const calibrate = texts.flatMap((path) => ["--calibrate", path]);
  const made = await lola([
    "quantize",
    fixture,
    "-o",
    model,
    ...engine,
    "--type",
    "q8",
    ...calibrate,
    "--eval",
    "none",
  ]);
  expect(made).toMatchObject({ code: 0, err: "" });
  const refused = await generate("--memory", "1MiB", "Watu wote");
  expect(refused).toMatchObject({ code: 4, out: "" });
  expect(refused.err).toContain("with the fewest experts at once");
  least = Number(/try: --memory (\d+)MiB/.exec(refused.err)![1]);
});

describe("with the least memory", () => {
  test("the text is the same; experts that were read are counted by layer", async () => {
    const [whole, part] = await Promise.all([
      generate("--json", "Watu wote"),
      generate("--json", "--memory", `${least}MiB`, "Watu wote"),
    ]);
    const [before, after] = [JSON.parse(whole.out), JSON.parse(part.out)];
    expect(part.err).toBe("");
    expect(after.samples).toEqual(before.samples);
    expect(before.offload).toBeNull();
    const { slots, experts, read_bytes, layers } = after.offload;
    expect(slots).toBeLessThan(experts);
    expect(layers.map(({ layer }: { layer: number }) => layer)).toEqual([1, 3, 5]);
    for (const { hits, misses } of layers) {
      // Each token after the first asks for one expert of each layer.
      expect(hits + misses).toBeGreaterThanOrEqual(12);
      expect(misses).toBeGreaterThan(0);
    }
    expect(read_bytes).toBeGreaterThan(0);
  });

  test("--jsonl ends with the same counts", async () => {
    const { out } = await generate("--jsonl", "--memory", `${least}MiB`, "Watu wote");
    const end = JSON.parse(out.trimEnd().split("\n").at(-1)!);
    expect(end.offload.layers).toHaveLength(3);
  });

  test("--lang brings what the language uses: fewer experts are missing, and the text is the same", async () => {
    const run = async (...more: string[]) =>
      JSON.parse((await generate("--json", "--memory", `${least}MiB`, "-n", "1", ...more, "Watu wote")).out);
    const [cold, warm] = [await run(), await run("--lang", "swh")];
    const missed = ({ offload }: { offload: { layers: { misses: number }[] } }) =>
      offload.layers.reduce((sum, { misses }) => sum + misses, 0);
    expect(missed(warm)).toBeLessThan(missed(cold));
    expect(warm.samples).toEqual(cold.samples);
  });
});

test("enough memory for all experts is no offload", async () => {
  expect(JSON.parse((await generate("--json", "--memory", "4GiB", "Watu")).out).offload).toBeNull();
});

test("languages are those that were counted; models show lists them", async () => {
  const unknown = await generate("--memory", "4GiB", "--lang", "swa", "Watu");
  expect(unknown).toMatchObject({ code: 2, out: "" });
  expect(unknown.err).toContain('without "swa", on eng, fra, swh');
  expect(unknown.err).toContain("try: --lang swh");
  expect((await lola(["models", "show", model])).out).toMatch(/routing counted in +eng fra swh\n/);
  const alone = await generate("--lang", "swa", "Watu");
  expect(alone).toMatchObject({ code: 2, out: "" });
  expect(alone.err).toContain("--memory 3GiB with it");
  const uncounted = await lola(["generate", "-m", fixture, "--memory", "4GiB", "--lang", "swa", "Watu"]);
  expect(uncounted).toMatchObject({ code: 2, out: "" });
  expect(uncounted.err).toContain("lola quantize");
});
