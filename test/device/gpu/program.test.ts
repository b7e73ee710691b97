/** Recording and running: mistakes are told when recorded, long runs can be stopped, steps can be timed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { matmulForward } from "../../../kernels/matmul/matmul_forward.ts";
import { normForward } from "../../../kernels/norm/norm_forward.ts";
import type { Step, Tensor } from "../../../src/device/device.ts";
import { type GpuDevice, openGpu } from "../../../src/device/gpu/gpu.ts";

let device: GpuDevice;
beforeAll(async () => {
  device = await openGpu({ software: true });
});
afterAll(() => device.close());

const floats = (shape: number[], layout?: "matrix"): Tensor =>
  device.tensor({ label: `[${shape}]`, shape, type: "f32", ...(layout && { layout }) });

function product(rows: number, inner: number, cols: number): Step {
  const bindings = {
    x: floats([rows, inner]),
    w: floats([inner, cols], "matrix"),
    b: floats([cols]),
    y: floats([rows, cols]),
  };
  return { kernel: matmulForward, bindings, params: { rows, inner, cols, gelu: 0, add: 0 } };
}

test("a step that reads what it writes is a bug, and says which binding", () => {
  const step = product(8, 8, 8);
  const twice = { ...step, bindings: { ...step.bindings, y: step.bindings.x! } };
  expect(() => device.program("p", [twice])).toThrow(/matmul_forward: y shares the buffer/);
});

test("wrong types, missing tensors, variables without value", async () => {
  const step = product(8, 8, 8);
  const words = device.tensor({ label: "words", shape: [8, 8], type: "u32" });
  expect(() => device.program("p", [{ ...step, bindings: { ...step.bindings, x: words } }])).toThrow(/wants f32/);
  const { b: _, ...rest } = step.bindings;
  expect(() => device.program("p", [{ ...step, bindings: rest }])).toThrow(/nothing bound to b/);
  const open = { ...step, params: { ...step.params, rows: "rows" } };
  expect(() => device.program("p", [open])).toThrow(/no value for the variable rows/);
  const program = device.program("p", [open], { rows: 8 });
  await expect(device.run(program)).rejects.toThrow(/no value for the variable rows/);
});

test("a program whose tensor was freed does not run", async () => {
  const step = product(8, 8, 8);
  const program = device.program("p", [step]);
  await device.run(program);
  device.free(step.bindings.w!);
  await expect(device.run(program)).rejects.toThrow(/freed/);
});

test("variables change between runs, up to their maxima", async () => {
  const [x, y] = [floats([9, 4]), floats([9, 4])];
  const [weight, bias] = [floats([4]), floats([4])];
  device.upload(bias, new Uint8Array(Float32Array.of(1, 1, 1, 1).buffer));
  const params = { rows: "rows", width: 4, skip: 0, eps: 1e-5 };
  const program = device.program("p", [{ kernel: normForward, bindings: { x, weight, bias, y }, params }], { rows: 9 });
  for (const rows of [3, 9, 0, 5]) {
    device.upload(y, new Uint8Array(y.bytes));
    const [bytes] = await device.run(program, { rows }, { read: [y] });
    expect(new Float32Array(bytes!.buffer).reduce((a, b) => a + b)).toBe(4 * rows);
  }
});

test("a long run stops soon after it is told to, and the device works on", async () => {
  const step = product(512, 1024, 2048);
  const program = device.program("long", Array<Step>(40).fill(step));
  const start = performance.now();
  const run = device.run(program, {}, { signal: AbortSignal.timeout(50) });
  await expect(run).rejects.toThrow(/abort|timed out/i);
  expect(performance.now() - start).toBeLessThan(10_000);
  await device.run(device.program("short", [product(8, 8, 8)]));
}, 60_000);

test("time gives each step's seconds", async () => {
  const seconds = await device.time(device.program("p", [product(8, 64, 64), product(64, 512, 512)]), {}, 3);
  expect(seconds.length).toBe(2);
  expect(seconds[0]!).toBeGreaterThan(0);
  expect(seconds[1]!).toBeGreaterThan(seconds[0]!);
});

test("a shader that Dawn refuses is told by the kernel's name", async () => {
  const broken = await openGpu({ software: true });
  const tensor = (label: string) => broken.tensor({ label, shape: [64], type: "f32" });
  const bindings = { x: tensor("x"), w: tensor("w"), b: tensor("b"), y: tensor("y") };
  const kernel = { ...matmulForward, variants: [{ name: "typo", code: "fn main( {", grid: () => [1, 1, 1] as const }] };
  const step = { kernel, bindings, params: product(8, 8, 8).params };
  await expect((async () => broken.run(broken.program("p", [step])))()).rejects.toThrow(/matmul_forward\/typo/);
  broken.close();
});
