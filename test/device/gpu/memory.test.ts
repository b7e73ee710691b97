/** Bytes that go to the GPU come back the same: any type, layout, piece size and order, whole or in parts. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { philox } from "../../../src/base/random.ts";
import { elements, type StorageType, storageBytes, type TensorSpec } from "../../../src/device/device.ts";
import { type GpuDevice, openGpu } from "../../../src/device/gpu/gpu.ts";

const bindingLimit = 1 << 16;
let device: GpuDevice;
beforeAll(async () => {
  device = await openGpu({ software: true, bindingLimit });
});
afterAll(() => device.close());

let draws = 0;
const below = (n: number) => philox([1, 2], [draws++, 0, 0, 0])[0] % n;

function bytesOf(n: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(n / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 2654435761);
  return new Uint8Array(words.buffer).subarray(0, n);
}

/** Cuts [0, count) into pieces of random length, in random order. */
function pieces(count: number, most: number): [from: number, to: number][] {
  const cuts: [number, number][] = [];
  for (let from = 0; from < count; ) {
    const to = Math.min(count, from + 1 + below(most));
    cuts.push([from, to]);
    from = to;
  }
  for (let i = cuts.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [cuts[i], cuts[j]] = [cuts[j]!, cuts[i]!];
  }
  return cuts;
}

const types: StorageType[] = ["f32", "f16", "bf16", "u32"];
const shapes: Omit<TensorSpec, "label" | "type">[] = [
  { shape: [1] },
  { shape: [63] },
  { shape: [65, 7] },
  { shape: [70, 63], layout: "matrix" },
  { shape: [70, 128], layout: "matrix" },
  { shape: [5, 9, 192], layout: "matrix", split: true },
  { shape: [2001, 33], split: true },
  { shape: [11, 33, 128], layout: "matrix", split: true },
];

for (const type of types)
  for (const spec of shapes)
    test(`${type} [${spec.shape}] ${spec.layout ?? "rows"}: uploaded in pieces`, async () => {
      const tensor = device.tensor({ label: "t", type, ...spec });
      const bytes = bytesOf(tensor.bytes);
      const size = storageBytes[type];
      const whole = elements(spec.shape) * size > bindingLimit;
      expect(tensor.parts.length > 1).toBe(whole);
      for (const most of [5, 300, 5000]) {
        device.upload(tensor, new Uint8Array(tensor.bytes));
        if (tensor.bytes / size / most > 3000) continue;
        for (const [from, to] of pieces(tensor.bytes / size, most))
          device.upload(tensor, bytes.subarray(from * size, to * size), from * size);
        expect(Buffer.compare(await device.download(tensor), bytes)).toBe(0);
      }
      device.free(tensor);
    });

test("bytes that are not aligned in host memory arrive as they are", async () => {
  const tensor = device.tensor({ label: "t", type: "f16", shape: [64, 128], layout: "matrix" });
  const bytes = new Uint8Array(tensor.bytes + 1).subarray(1);
  bytes.set(bytesOf(tensor.bytes));
  device.upload(tensor, bytes);
  expect(Buffer.compare(await device.download(tensor), bytes)).toBe(0);
  device.free(tensor);
});

test("tensors start as zeros, and views share their memory", async () => {
  const tensor = device.tensor({ label: "t", type: "u32", shape: [4, 64] });
  expect((await device.download(tensor)).every((b) => b === 0)).toBe(true);
  const view = device.view(tensor, 128, [64]);
  device.upload(view, bytesOf(256));
  const all = await device.download(tensor);
  expect(Buffer.compare(all.subarray(512, 768), bytesOf(256))).toBe(0);
  expect(all.subarray(0, 512).every((b) => b === 0)).toBe(true);
  expect(Buffer.compare(await device.download(view), bytesOf(256))).toBe(0);
  expect(() => device.view(tensor, 250, [64])).toThrow(RangeError);
  device.free(tensor);
});

test("memory counts what lives", () => {
  const before = device.memory;
  const tensor = device.tensor({ label: "t", type: "f32", shape: [3000, 33], split: true });
  expect(device.memory - before).toBeGreaterThanOrEqual(tensor.bytes);
  expect(device.memory - before).toBeLessThan(tensor.bytes + 16 * tensor.parts.length);
  device.free(tensor);
  expect(device.memory).toBe(before);
});

test("what does not fit a binding says so, with both numbers", () => {
  expect(() => device.tensor({ label: "cache", type: "f32", shape: [20000] })).toThrow(/cache takes 80000 .* 65536/);
  expect(() => device.tensor({ label: "wide", type: "f32", shape: [2, 20000], split: true })).toThrow(
    /wide takes 80000 .* 65536/,
  );
});

test("bytes beyond a tensor are refused", () => {
  const tensor = device.tensor({ label: "t", type: "f32", shape: [4] });
  expect(() => device.upload(tensor, new Uint8Array(8), 12)).toThrow(RangeError);
  device.free(tensor);
});
