/** A device that is lost, or out of memory, at any moment ends in one typed error: no hang, no wrong output. */
import { expect, test } from "bun:test";
import { LolaError } from "../../../src/base/errors.ts";
import { openGpu } from "../../../src/device/gpu/gpu.ts";
import type { Faults } from "../../../src/device/gpu/health.ts";
import { greedy } from "../../../src/model/session.ts";
import { tinySession } from "../../model/tiny.ts";

/** Tokens of a short generation on a device with faults, or the error that it ends in. */
async function generate(faults: Faults): Promise<number[] | Error> {
  const device = await openGpu({ software: true, faults });
  try {
    const session = tinySession(device, { chunk: 4 });
    const ids = [(await session.feed([1, 2, 3, 4, 5, 6], greedy)).id];
    while (ids.length < 4) ids.push((await session.next()).id);
    return ids;
  } catch (error) {
    return error as Error;
  } finally {
    device.close();
  }
}

async function sweep(fault: (n: number) => Faults, message: RegExp): Promise<number> {
  const healthy = await generate({});
  for (let n = 1; n <= 200; n++) {
    const start = performance.now();
    const result = await generate(fault(n));
    expect(performance.now() - start).toBeLessThan(5000);
    if (Array.isArray(result)) {
      expect(result).toEqual(healthy as number[]);
      return n - 1;
    }
    expect(result, `fault ${n}`).toBeInstanceOf(LolaError);
    expect((result as LolaError).kind).toBe("device");
    expect((result as LolaError).message).toMatch(message);
    expect((result as LolaError).hint).toBeString();
  }
  throw new Error("the fault never ran out");
}

test("lost at every submit", async () => {
  expect(await sweep((n) => ({ loseAtSubmit: n }), /lost/)).toBeGreaterThanOrEqual(5);
}, 120_000);

test("out of memory at every buffer", async () => {
  expect(await sweep((n) => ({ failBuffer: n }), /needs \d+ bytes/)).toBeGreaterThan(40);
}, 120_000);

test("after a loss every call says so", async () => {
  const device = await openGpu({ software: true, faults: { loseAtSubmit: 1 } });
  const tensor = device.tensor({ label: "t", type: "f32", shape: [4] });
  for (let i = 0; i < 3; i++) expect(device.download(tensor)).rejects.toThrow(/lost/);
  await Bun.sleep(100);
  expect(() => device.upload(tensor, new Uint8Array(16))).toThrow(/lost/);
  expect(() => device.tensor({ label: "u", type: "f32", shape: [4] })).toThrow(/lost/);
});
