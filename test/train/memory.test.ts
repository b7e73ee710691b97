/** The memory plan: what the engine allocates, and what the process then takes, over 1,000 steps. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDevice } from "../../src/device/choose.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import { planTraining, type TrainingPlan } from "../../src/train/plan.ts";
import { tinyModel, tinyRun } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-memory-"));
afterAll(() => rmSync(root, { recursive: true }));

for (const engine of ["cpu", "reference"] as const)
  test(`all tensors are in the plan: ${engine}`, async () => {
    const { device } = await openDevice(engine, { threads: 1 });
    for (const recompute of [false, true]) {
      const before = device.memory;
      const { model, recipe, shape } = tinyRun({ shape: { batch: 3, time: 16, recompute, dropout: 0.1 } });
      const plan = planTraining({ model: { ...model, layers: 5 }, recipe, shape: { ...shape, recompute } });
      const engine = new TrainingEngine(device, { ...model, layers: 5 }, recipe, shape, 1n);
      expect(device.memory - before).toBe(plan.total - plan.program);
      expect(engine.buffers.logits.bytes).toBe(plan.logits);
    }
    device.close();
  });

test("the parts of the plan", () => {
  const { recipe } = tinyRun();
  const shape = { batch: 4, time: 16, recompute: false, dropout: 0 };
  const plan = planTraining({ model: tinyModel, recipe, shape });
  const { parameters, gradients, moments, activations, logits, scratch, program, total } = plan;
  expect(gradients).toBe(parameters);
  expect(moments).toBe(2 * parameters);
  expect(logits).toBe(4 * 64 * tinyModel.vocabulary);
  expect(parameters + gradients + moments + activations + logits + scratch + program).toBe(total);
  // Twice the rows, twice the activations, but for the counts of experts; recomputing keeps one layer of two.
  const twice = planTraining({ model: tinyModel, recipe, shape: { ...shape, batch: 8 } });
  expect(twice.activations / activations).toBeCloseTo(2, 2);
  expect(planTraining({ model: tinyModel, recipe, shape: { ...shape, recompute: true } }).activations).toBeLessThan(
    activations * 0.7,
  );
});

test("a plan of LOLA's own size costs nothing: 7,459,827,712 parameters", () => {
  const sizes = { vocabulary: 100_096, context: 2048, width: 2048, layers: 24, heads: 16, inner: 8192, experts: 16 };
  const shape = { batch: 8, time: 2048, recompute: true, dropout: 0.1 };
  const { parameters } = planTraining({ model: { ...tinyModel, ...sizes }, recipe: tinyRun().recipe, shape });
  expect(parameters).toBe(4 * 7_459_827_712);
});

test("over 1,000 steps the process takes at most 1.2 times the plan, and no more at the end than in the middle", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "memory-child.ts"), join(root, "run")]);
  const told = JSON.parse(await new Response(child.stdout).text());
  const { plan, held, resident, peak } = told as {
    plan: TrainingPlan;
    held: number;
    resident: number[];
    peak: number;
  };
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log(`tensors ${mib(held)}, plan ${mib(plan.total)}, peak ${mib(peak)}, by 100 steps ${resident.map(mib)}`);
  expect(held).toBe(plan.total - plan.program);
  expect(peak).toBeLessThan(1.2 * plan.total);
  expect(resident).toHaveLength(10);
  // The program itself settles in the first 300 steps. Three kilobytes lost in each of the 400 between would be 1.2 MB.
  expect(Math.min(...resident.slice(-3)) - Math.max(...resident.slice(3, 6))).toBeLessThan(5 << 18);
}, 120_000);
