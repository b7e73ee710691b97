/** The steady state of decoding: what a token costs, and that it leaves nothing behind. */
import { expect, test } from "bun:test";
import { openDevice } from "../../src/device/choose.ts";
import { openGpu } from "../../src/device/gpu/gpu.ts";
import { greedy } from "../../src/model/session.ts";
import { tinyConfig, tinySession } from "./tiny.ts";

const context = 2100;

test("a decoded token is at most 9 dispatches a layer and 6 more", async () => {
  const device = await openGpu({ software: true });
  for (const layers of [1, 2, 6]) {
    const session = tinySession(device, {}, { layers });
    expect(session.stepsPerToken).toBeLessThanOrEqual(9 * layers + 6);
  }
  device.close();
});

test("on the GPU a token creates nothing, submits once, maps once", async () => {
  const device = await openGpu({ software: true });
  const session = tinySession(device);
  await session.feed([1, 2, 3], greedy);
  await session.next();
  const { device: raw } = device as unknown as { device: GPUDevice };
  const calls: string[] = [];
  const count = (object: object, name: string) => {
    const method = Reflect.get(object, name) as (...args: unknown[]) => unknown;
    Reflect.set(object, name, (...args: unknown[]) => {
      calls.push(name);
      return method.apply(object, args);
    });
  };
  for (const name of ["createBuffer", "createBindGroup", "createShaderModule", "createComputePipeline"])
    count(raw, name);
  count(raw.queue, "submit");
  count((device as unknown as { staging: GPUBuffer }).staging, "mapAsync");
  for (let i = 0; i < 20; i++) await session.next();
  expect(calls).toEqual(Array(20).fill(["submit", "mapAsync"]).flat());
  device.close();
});

for (const engine of ["cpu", "software"] as const)
  test(`memory is flat over 2,000 tokens on ${engine}`, async () => {
    const { device } = await openDevice(engine);
    const session = tinySession(device, {}, { ...tinyConfig, context });
    const run = async () => {
      session.rewind();
      await session.feed([1, 2, 3], greedy);
      for (let i = 0; i < 2000; i++) await session.next();
      Bun.gc(true);
      return { held: device.memory, resident: process.memoryUsage.rss() };
    };
    // The first run touches every page of the cache, and warms the compiler of the runtime.
    await run();
    const runs = [await run(), await run(), await run()];
    const growth = [1, 2].map((i) => (runs[i]!.resident - runs[i - 1]!.resident) / 2 ** 20);
    expect(runs[2]!.held).toBe(runs[0]!.held);
    // One leaked bind group or command buffer a token would be 2 to 10 MB in every run; the heap breathes in some.
    expect(Math.min(...growth)).toBeLessThan(1.5);
    device.close();
  }, 120_000);
