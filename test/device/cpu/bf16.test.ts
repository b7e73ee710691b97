/**
 * Products in bf16. Only processors with AMX have them: elsewhere all that can run is the refusal, so each test here says
 * what holds on either kind of machine.
 */
import { expect, test } from "bun:test";
import { matmulForward } from "../../../kernels/matmul/matmul_forward.ts";
import { fromFloats, toFloats } from "../../../src/base/float.ts";
import { openDevice } from "../../../src/device/choose.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../../src/device/cpu/library.ts";

const granted = usableSets(library()).has("amx");

const refusal = expect.objectContaining({
  kind: "device",
  message: expect.stringMatching(/^no products in bf16 here: (the processor|the system|this build) /),
  hint: "--precision f32",
});

test("bf16 is taken when it is asked for, and only then", async () => {
  const names = ["f32", "bf16"] as const;
  const open = (precision: (typeof names)[number]) => {
    const device = openCpu({ precision, threads: 1 });
    device.close();
    return device.isa;
  };
  expect(open("f32")).not.toBe("amx");
  if (granted) expect(open("bf16")).toBe("amx");
  else expect(() => open("bf16")).toThrow(refusal);
});

test("only the CPU engine has it", async () => {
  for (const engine of ["gpu", "software", "reference"] as const)
    await expect(openDevice(engine, { precision: "bf16" })).rejects.toMatchObject({
      kind: "usage",
      message: `--device ${engine} computes in ${engine === "reference" ? "f32" : "f32 and f16"} only`,
    });
  const opened = openDevice("auto", { precision: "bf16", threads: 1 });
  if (!granted) await expect(opened).rejects.toThrow(refusal);
  else {
    const { device } = await opened;
    expect(device.info).toMatchObject({ kind: "cpu", name: "AMX in bf16, 1 thread" });
    device.close();
  }
});

test("operands are rounded to the nearest bf16, ties to even, and their sums are not", async () => {
  if (!granted) {
    expect(() => openCpu({ precision: "bf16" })).toThrow(refusal);
    return;
  }
  const device = openCpu({ precision: "bf16", threads: 2 });
  const [rows, n] = [33, 70];
  // Ties, neighbours of ties, both signs, large and small.
  const values = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, Math.PI, -0.1, 1e30, -1e-30, 65535, 0];
  const x = Float32Array.from({ length: rows * n }, (_, i) => values[i % values.length]!);
  const unit = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const product = async (data: Float32Array<ArrayBuffer>, matrix: Float32Array<ArrayBuffer>) => {
    const tensor = (
      label: string,
      layout: "rows" | "matrix",
      shape: number[],
      contents?: Float32Array<ArrayBuffer>,
    ) => {
      const made = device.tensor({ label, shape, type: "f32", layout });
      if (contents) device.upload(made, new Uint8Array(contents.buffer));
      return made;
    };
    const y = tensor("y", "rows", [rows, n]);
    const bindings = {
      ...{ x: tensor("x", "rows", [rows, n], data), w: tensor("w", "matrix", [n, n], matrix) },
      ...{ b: tensor("b", "rows", [n]), y },
    };
    const params = { rows, inner: n, cols: n, gelu: 0, add: 0 };
    const [bytes] = await device.run(
      device.program("product", [{ kernel: matmulForward, bindings, params }]),
      {},
      { read: [y] },
    );
    return new Float32Array(bytes!.slice().buffer);
  };
  expect([...(await product(x, unit))]).toEqual([...toFloats(fromFloats(x, "bf16"), "bf16")]);
  // 129 has 8 significant bits, 70 · 129 has 13.
  const ones = new Float32Array(rows * n).fill(1);
  const sums = await product(ones, new Float32Array(n * n).fill(129 / 128));
  expect(sums.every((sum) => sum === (n * 129) / 128)).toBe(true);
  device.close();
});
