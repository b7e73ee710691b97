/** Products in f16: taken when asked for, refused where they cannot be; what is rounded, and what is not. */
import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import { kernels } from "../../../kernels/index.ts";
import { matmulForward } from "../../../kernels/matmul/matmul_forward.ts";
import { fromFloats, toFloats } from "../../../src/base/float.ts";
import { openDevice } from "../../../src/device/choose.ts";
import { type GpuDevice, openGpu } from "../../../src/device/gpu/gpu.ts";

let gpu: GpuDevice;
beforeAll(async () => {
  gpu = await openGpu({ software: true, precision: "f16" });
});
afterAll(() => gpu.close());

test("only GPUs have it, and only when it is asked for", async () => {
  const f16 = { precision: "f16" } as const;
  const computes = { cpu: "f32 and bf16", reference: "f32" };
  for (const engine of ["cpu", "reference"] as const)
    await expect(openDevice(engine, f16)).rejects.toMatchObject({
      kind: "usage",
      message: `--device ${engine} computes in ${computes[engine]} only`,
      hint: "--device gpu, or --precision f32",
    });
  await expect(openDevice("auto", f16)).rejects.toMatchObject({
    kind: "device",
    hint: "--precision f32, or --device software",
  });
  const { device } = await openDevice("software");
  expect(device.info.name).not.toContain("f16");
  expect(device).toMatchObject({ traits: { half: false } });
  device.close();
  expect(gpu.info.name).toEndWith(" in f16");
});

test("an adapter without shader-f16 is refused in one line", async () => {
  const has = spyOn(Set.prototype, "has").mockImplementation(function (this: Set<unknown>, value) {
    return value !== "shader-f16" && [...this].includes(value);
  });
  try {
    await expect(openGpu({ software: true, precision: "f16" })).rejects.toMatchObject({
      kind: "device",
      message: expect.stringMatching(/^no products in f16 here: .* has no shader-f16$/),
      hint: "--precision f32",
    });
  } finally {
    has.mockRestore();
  }
});

test("every product of tiles has a variant in f16 that precedes the others for many rows", () => {
  const params = { rows: 64, inner: 64, cols: 64, width: 64, vocabulary: 64, first: 0, count: 64 };
  const tiled = kernels.filter((kernel) => kernel.variants.some((v) => v.code.includes("const HALF")));
  expect(tiled.length).toBe(14);
  for (const { name, variants } of tiled) {
    const taken = (half: boolean) => variants.find((v) => v.fits?.({ ...gpu.traits, half }, params) ?? true)!;
    expect(taken(true).code, name).toContain("\nenable f16;");
    expect(taken(false).code, name).not.toContain("enable f16;");
  }
});

/** Rows of x times w on a device. */
async function product(device: GpuDevice, x: Float32Array<ArrayBuffer>, w: Float32Array<ArrayBuffer>, inner: number) {
  const [rows, cols] = [x.length / inner, w.length / inner];
  const tensor = (label: string, layout: "rows" | "matrix", shape: number[], contents?: Float32Array<ArrayBuffer>) => {
    const made = device.tensor({ label, shape, type: "f32", layout });
    if (contents) device.upload(made, new Uint8Array(contents.buffer));
    return made;
  };
  const y = tensor("y", "rows", [rows, cols]);
  const inputs = { x: tensor("x", "rows", [rows, inner], x), w: tensor("w", "matrix", [inner, cols], w) };
  const bindings = { ...inputs, b: tensor("b", "rows", [cols]), y };
  const program = device.program("product", [
    { kernel: matmulForward, bindings, params: { rows, inner, cols, gelu: 0, add: 0 } },
  ]);
  const [bytes] = await device.run(program, {}, { read: [y] });
  return new Float32Array(bytes!.slice().buffer);
}

test("operands are rounded to the nearest f16, ties to even, on either side", async () => {
  // Ties, neighbours of ties, both signs, the largest, a subnormal, one that vanishes.
  const tie = 1 + 2 ** -11;
  const values = [tie, tie + 2 ** -10, tie + 2 ** -23, Math.PI, -0.1, 65504, -(2 ** -24), 1e-9];
  const n = 64;
  const x = Float32Array.from({ length: n * n }, (_, i) => values[i % values.length]!);
  const unit = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const rounded = [...toFloats(fromFloats(x, "f16"), "f16")].map((v) => v + 0); // no -0
  expect([...(await product(gpu, x, unit, n))]).toEqual(rounded);
  expect([...(await product(gpu, unit, x, n))]).toEqual(rounded);
});

test("long sums are f32", async () => {
  // f16 has no 2049.
  const inner = 4104;
  const ones = (count: number) => new Float32Array(count).fill(1);
  expect(new Set(await product(gpu, ones(5 * inner), ones(8 * inner), inner))).toEqual(new Set([inner]));
});
