/** Matrices are packed on upload and unpacked on download: for any cut of the bytes, in any order. */
import { afterAll, expect, test } from "bun:test";
import { philox } from "../../../src/base/random.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { storageBytes } from "../../../src/device/device.ts";

const device = openCpu({ threads: 1 });
afterAll(() => device.close());

const below = (bound: number, seed: number, i: number) => philox([seed, 0], [i, 0, 0, 0])[0] % bound;

test("pieces of random lengths, uploaded in random order", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const type = seed % 2 ? "f16" : "f32";
    const shape = [1 + below(3, seed, 0), 1 + below(70, seed, 1), 1 + below(70, seed, 2)];
    const tensor = device.tensor({ label: "w", shape, type, layout: "matrix" });
    const bytes = Uint8Array.from({ length: tensor.bytes }, (_, i) => below(256, seed, 100 + i));
    const size = storageBytes[type];
    const cuts: [number, number][] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + size * (1 + below(400, seed, 10 + cuts.length)));
      cuts.push([at, end]);
      at = end;
    }
    cuts.sort(([a], [b]) => below(2 ** 31, seed, a) - below(2 ** 31, seed, b));
    for (const [at, end] of cuts) device.upload(tensor, bytes.subarray(at, end), at);
    expect(Buffer.compare(await device.download(tensor), bytes)).toBe(0);
    device.free(tensor);
  }
});

test("memory counts live tensors, and padding", () => {
  expect(device.memory).toBe(0);
  const rows = device.tensor({ label: "rows", shape: [3, 5], type: "f32" });
  const matrix = device.tensor({ label: "matrix", shape: [3, 5], type: "f16", layout: "matrix" });
  expect(device.memory).toBe(60 + 3 * 16 * 2);
  device.free(rows);
  device.free(matrix);
  expect(device.memory).toBe(0);
});

test("a tensor that does not fit is refused with the numbers", () => {
  const small = openCpu({ threads: 1, memoryLimit: 2 ** 20 });
  const held = small.tensor({ label: "held", shape: [2 ** 17], type: "f32" });
  expect(() => small.tensor({ label: "large", shape: [2 ** 20], type: "f32" })).toThrow(
    expect.objectContaining({
      name: "LolaError",
      kind: "device",
      message: "large needs 4.0 MiB: 0.5 MiB are in use, of 1.0 MiB available to the CPU engine",
    }),
  );
  small.free(held);
  small.close();
});

test("views share memory", async () => {
  const whole = device.tensor({ label: "whole", shape: [4, 3], type: "f32" });
  const row = device.view(whole, 6, [3]);
  device.upload(row, new Uint8Array(Float32Array.of(1, 2, 3).buffer));
  expect(new Float32Array((await device.download(whole)).slice().buffer).join()).toBe("0,0,0,0,0,0,1,2,3,0,0,0");
  expect(() => device.view(whole, 10, [3])).toThrow("no view");
  device.free(whole);
});

test("bytes that do not lie in the tensor are refused", () => {
  const tensor = device.tensor({ label: "t", shape: [2], type: "f32" });
  expect(() => device.upload(tensor, new Uint8Array(8), 4)).toThrow("do not lie");
  expect(() => device.upload(tensor, new Uint8Array(3))).toThrow("do not lie");
  device.free(tensor);
  expect(() => device.upload(tensor, new Uint8Array(4))).toThrow("no live tensor");
});
