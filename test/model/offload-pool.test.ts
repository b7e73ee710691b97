/** The pool of experts: waves that fit, counts, who gives way, what warming brings, and failures on the way. */
import { describe, expect, test } from "bun:test";
import { LolaError } from "../../src/base/errors.ts";
import { CountingDevice } from "../../src/device/counting.ts";
import { openReference } from "../../src/device/reference.ts";
import { planMemory } from "../../src/model/memory.ts";
import { poolWithin } from "../../src/model/offload-plan.ts";
import { ExpertPool } from "../../src/model/offload-pool.ts";
import { randomWeights } from "../../src/model/random.ts";
import { madeModel, oddConfig } from "../quantize/made.ts";
import { tinyConfig } from "./tiny.ts";

/** Two mixtures of five experts. */
const config = { ...tinyConfig, layers: 5 };
const source = randomWeights(config, () => "f32");
const poolOf = (slots: number, from = source) => new ExpertPool(new CountingDevice(), config, from, slots);

/** Rows come to a layer: its waves are brought, one after the other. */
async function come(pool: ExpertPool, layer: number, ...experts: number[]) {
  const waves = pool.visit(layer, new Set(experts));
  for (const wave of waves) {
    const slots = await pool.hold(layer, wave);
    expect(new Set(slots.values()).size).toBe(wave.length);
    expect(Math.max(...slots.values())).toBeLessThan(pool.slots);
  }
  return waves;
}

describe("waves", () => {
  test("each fits the slots; what is there comes first", async () => {
    const pool = poolOf(2);
    expect(await come(pool, 0, 0, 1, 2, 3, 4)).toEqual([[0, 1], [2, 3], [4]]);
    expect((await come(pool, 0, 0, 4))[0]![0]).toBe(4);
    expect(pool.traffic).toEqual([
      { layer: 1, hits: 1, misses: 6 },
      { layer: 3, hits: 0, misses: 0 },
    ]);
  });

  test("each kind of experts has slots of its own", async () => {
    const kinds = randomWeights(config, (name) => (/experts\.[34]\.c_fc\.weight/.test(name) ? "f16" : "f32"));
    const pool = poolOf(5, kinds);
    expect(pool.slots).toBe(5);
    expect(await come(pool, 0, 0, 1, 2, 3, 4)).toEqual([[0, 1, 2, 3, 4]]);
    expect(await come(pool, 1, 3, 4)).toEqual([[3, 4]]);
    // Two slots of the one kind, none of the other.
    expect(await come(pool, 0, 0, 1, 2)).toEqual([[0, 1, 2]]);
    expect(pool.traffic[0]).toEqual({ layer: 1, hits: 3, misses: 5 });
  });
});

describe("who gives way", () => {
  test("not the one that is often used, for one used once and later", async () => {
    const pool = poolOf(2);
    for (let i = 0; i < 9; i++) await come(pool, 0, 0);
    await come(pool, 0, 1);
    await come(pool, 0, 2);
    await come(pool, 0, 0);
    expect(pool.traffic[0]).toEqual({ layer: 1, hits: 9, misses: 3 });
  });

  test("where all are used in turn, those of the layer that was just passed", async () => {
    const pool = poolOf(6);
    const hits = () => pool.traffic.reduce((sum, layer) => sum + layer.hits, 0);
    for (let round = 0; round < 4; round++) for (const layer of [0, 1]) await come(pool, layer, 0, 1, 2, 3, 4);
    // The least recently used would always be the next to be wanted, and nothing would be found.
    expect(hits()).toBeGreaterThanOrEqual(3 * 2);
  });

  test("what a language uses most is there before it comes, and stays longest", async () => {
    const pool = poolOf(3);
    await pool.warm(Float64Array.of(0.6, 0.2, 0.1, 0.1, 0, 0.05, 0.05, 0.05, 0.05, 0.8));
    expect(pool.bytes).toBeGreaterThan(0);
    await come(pool, 0, 0);
    await come(pool, 1, 4);
    await come(pool, 0, 3);
    await come(pool, 1, 4);
    await come(pool, 0, 0, 1);
    expect(pool.traffic).toEqual([
      { layer: 1, hits: 2, misses: 2 },
      { layer: 3, hits: 2, misses: 0 },
    ]);
  });
});

test("bytes that are read are those of the experts that were missing", async () => {
  const pool = poolOf(3);
  await come(pool, 0, 1, 2);
  await come(pool, 0, 1, 2);
  const parts = ["c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias"];
  const one = parts.reduce((sum, part) => sum + source.tensors.get(`h.1.moe.experts.0.${part}`)!.bytes, 0);
  expect(pool.bytes).toBe(2 * one);
});

test("an expert that could not be read is in no slot, and neither is the one that gave way", async () => {
  let damaged = false;
  const failing: typeof source = {
    ...source,
    read(name) {
      if (damaged && name.endsWith("c_proj.weight")) throw new Error("damaged");
      return source.read(name);
    },
  };
  const pool = poolOf(1, failing);
  await come(pool, 0, 0);
  damaged = true;
  await expect(come(pool, 0, 1)).rejects.toThrow("damaged");
  damaged = false;
  await come(pool, 0, 0);
  await come(pool, 0, 0);
  expect(pool.traffic[0]).toEqual({ layer: 1, hits: 1, misses: 3 });
});

test("it stops when it is told to", async () => {
  const pool = poolOf(2);
  pool.visit(0, new Set([1]));
  await expect(pool.hold(0, [1], AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
});

describe("a limit", () => {
  const device = openReference();
  const model = madeModel();
  const least = planMemory(device, model, {}, 1).total;
  const all = 2 * oddConfig.experts;

  test("holds as many experts as it has room for", () => {
    const each = planMemory(device, model, {}, 2).total - least;
    expect(poolWithin(device, model, least)?.slots).toBe(1);
    expect(poolWithin(device, model, least + each - 1)?.slots).toBe(1);
    expect(poolWithin(device, model, least + 3 * each)?.slots).toBe(4);
    expect(poolWithin(device, model, least + (all - 1) * each)).toBeUndefined();
  });

  test("that is too small is refused with the least that is enough", () => {
    let refusal: unknown;
    try {
      poolWithin(device, model, least - 1);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(LolaError);
    expect(refusal).toMatchObject({
      exitCode: 4,
      hint: expect.stringContaining(`--memory ${Math.ceil(least / 2 ** 20)}MiB`),
    });
    // A cache of fewer positions leaves room.
    expect(poolWithin(device, model, least - 1, { context: 2 })?.slots).toBeGreaterThan(0);
  });

  test("says nothing of a model without experts", () => {
    const dense = madeModel({ ...oddConfig, layers: 1 });
    expect(() => poolWithin(device, dense, 1e9)).toThrow("has no experts");
  });
});
