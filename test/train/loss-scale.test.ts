/** Dynamic loss scaling: DeepSpeed's rules, and that a scale changes nothing but what overflows. */
import { expect, test } from "bun:test";
import { openDevice } from "../../src/device/choose.ts";
import { initialWeights } from "../../src/model/init.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import { initialScaling, isLeast, type LossScaling, nextScaling } from "../../src/train/loss-scale.ts";
import { tinyModel, tinyRun } from "./tiny.ts";

const after = (scaling: LossScaling, steps: boolean[]) => steps.reduce(nextScaling, scaling);
const clean = (count: number) => new Array<boolean>(count).fill(false);

test("the first overflow is borne, each one after it halves the scale, down to 1", () => {
  expect(after(initialScaling, [true]).scale).toBe(2048);
  expect(after(initialScaling, [true, true]).scale).toBe(1024);
  expect(after(initialScaling, [true, true, false, true]).scale).toBe(512);
  const lowest = after(initialScaling, new Array<boolean>(40).fill(true));
  expect(lowest.scale).toBe(1);
  expect([isLeast(lowest), isLeast(initialScaling)]).toEqual([true, false]);
});

test("500 steps without overflow double it, and one overflow is borne again", () => {
  expect(after(initialScaling, clean(499)).scale).toBe(2048);
  expect(after(initialScaling, clean(500)).scale).toBe(4096);
  expect(after(initialScaling, [...clean(499), true, ...clean(499)]).scale).toBe(2048);
  expect(after(initialScaling, [true, ...clean(500), true]).scale).toBe(4096);
  expect(after(initialScaling, clean(500 * 60)).scale).toBe(2 ** 24);
});

test("a scaled step is the same step, unless it overflows", async () => {
  const { device } = await openDevice("cpu");
  const { recipe, shape } = tinyRun();
  const rows = (first: number) => Uint32Array.from({ length: shape.batch * shape.time }, (_, i) => first + i);
  const step = async (lossScale: number) => {
    const engine = new TrainingEngine(device, tinyModel, recipe, shape, 1n);
    engine.load("weights", initialWeights(tinyModel, 1n, 0.02));
    const { norm, bad } = await engine.step([{ inputs: rows(3), targets: rows(4) }], 1, 0.01, { lossScale });
    const weights: number[] = [];
    for await (const { pieces } of engine.stored("weights"))
      for await (const piece of pieces) weights.push(...new Float32Array(piece.slice().buffer));
    return { norm, bad, weights };
  };
  const [plain, scaled, overflowing] = [await step(1), await step(2048), await step(2 ** 127)];
  expect([plain.bad, scaled.bad]).toEqual([0, 0]);
  expect(Math.abs(scaled.norm / plain.norm - 1)).toBeLessThan(1e-6);
  const furthest = scaled.weights.reduce((most, w, i) => Math.max(most, Math.abs(w - plain.weights[i]!)), 0);
  expect(furthest).toBeLessThan(1e-7);
  expect(overflowing.bad).toBeGreaterThan(0);
  expect(overflowing.weights).not.toEqual(plain.weights);
  device.close();
});
