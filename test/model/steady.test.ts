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
    await session.feed([1, 2, 3], greedy);
    for (let i = 0; i < 300; i++) await session.next();
    Bun.gc(true);
    const [held, resident] = [device.memory, process.memoryUsage.rss()];
    for (let i = 0; i < 1700; i++) await session.next();
    Bun.gc(true);
    expect(device.memory).toBe(held);
    // One leaked bind group or command buffer a token would be 1.7 to 8 MB.
    expect((process.memoryUsage.rss() - resident) / 2 ** 20).toBeLessThan(1.5);
    device.close();
  }, 120_000);
