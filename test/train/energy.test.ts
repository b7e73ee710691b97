/** Joules from the files that Linux tells them in, played by a folder. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EnergyMeter } from "../../src/train/energy.ts";

const root = mkdtempSync(join(tmpdir(), "lola-energy-"));
afterAll(() => rmSync(root, { recursive: true }));

function put(zone: string, microjoules: number): void {
  mkdirSync(join(root, zone), { recursive: true });
  writeFileSync(join(root, zone, "energy_uj"), `${microjoules}\n`);
  writeFileSync(join(root, zone, "max_energy_range_uj"), "10000000\n");
}

test("packages are added up, their parts are not counted twice, and counters begin again at 0", () => {
  put("intel-rapl:0", 1_000_000);
  put("intel-rapl:1", 9_000_000);
  put("intel-rapl:0:0", 5);
  const meter = new EnergyMeter(root);
  put("intel-rapl:0", 3_500_000);
  put("intel-rapl:0:0", 4_000_000);
  put("intel-rapl:1", 500_000);
  expect(meter.lap()).toBeCloseTo(2.5 + 1.5, 6);
  expect(meter.lap()).toBe(0);
});

test("a machine that does not tell", () => {
  expect(new EnergyMeter(join(root, "nothing")).lap()).toBeUndefined();
});
