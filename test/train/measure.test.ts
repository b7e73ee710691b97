/** Operations of a training step, as the peer that `lola bench train` is compared with counts them. */
import { expect, test } from "bun:test";
import { parseShape } from "../../src/cli/bench-model.ts";
import { openReference } from "../../src/device/reference.ts";
import { measureTraining, stepFlops } from "../../src/train/measure.ts";

test("useful operations of the shape that is compared", () => {
  // 6 · (6 · (4 · 256² + 2 · 256 · 1024) + 3 · 16 · 256 + 16384 · 256) · 4096 + 3 · 6 · 4 · 16 · 256² · 256
  expect(stepFlops(parseShape("256-6-4-1024-16384-16", 256), 16, 256)).toBe(238_672_674_816);
});

test("steps of a tiny model are timed", async () => {
  const config = parseShape("8-2-2-16-64-2", 8);
  const seen: number[] = [];
  const shape = { batch: 2, time: 8, recompute: false, dropout: 0 };
  const speed = await measureTraining(openReference(), config, shape, 2, (done) => seen.push(done));
  expect(seen).toEqual([0, 1, 2]);
  expect(speed.tokens).toBe(16);
  expect(speed.tokensPerSecond).toBeCloseTo(16 / speed.seconds, 6);
  expect(speed.flopsPerCpuSecond).toBeCloseTo(speed.flops / speed.cpuSeconds, 0);
  expect(speed.peak).toBeGreaterThan(speed.planned);
});
