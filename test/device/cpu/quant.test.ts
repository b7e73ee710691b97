/** Quantized matrices on the CPU: rows that do not depend on their neighbours, block sizes crossed, the reference's words. */
import { expect, test } from "bun:test";
import { grouped, integers, uniform } from "../../../kernels/cases.ts";
import type { Kernel } from "../../../kernels/kernel.ts";
import { downForward } from "../../../kernels/quant/down_forward.ts";
import { matmulForward } from "../../../kernels/quant/matmul_forward.ts";
import { matrixQuantize } from "../../../kernels/quant/matrix_quantize.ts";
import { quantized } from "../../../kernels/quant/quantized.ts";
import { upForward } from "../../../kernels/quant/up_forward.ts";
import { upRowForward } from "../../../kernels/quant/up_row_forward.ts";
import { type Grouping, groupingOf, matrixWords, quantize, quantTypes } from "../../../src/base/quant.ts";
import { type CpuDevice, openCpu } from "../../../src/device/cpu/cpu.ts";
import { type InstructionSet, library, usableSets } from "../../../src/device/cpu/library.ts";
import type { Tensor } from "../../../src/device/device.ts";
import { check } from "../../kernels/compare.ts";
import { boundOf } from "./bounds.ts";

type Values = Float32Array | Uint32Array;

/** Runs a kernel once; the words of one binding, of the last if not named. */
async function result(
  device: CpuDevice,
  kernel: Kernel,
  values: Record<string, Values>,
  params: Record<string, number>,
  name = Object.keys(kernel.bindings).at(-1)!,
): Promise<Uint32Array> {
  const tensors: Record<string, Tensor> = {};
  for (const [label, data] of Object.entries(values)) {
    const type = data instanceof Uint32Array ? "u32" : "f32";
    const tensor = device.tensor({ label, shape: [data.length], type });
    tensors[label] = tensor;
    device.upload(tensor, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  const program = device.program(kernel.name, [{ kernel, bindings: tensors, params }]);
  const [bytes] = await device.run(program, {}, { read: [tensors[name]!] });
  for (const tensor of Object.values(tensors)) device.free(tensor);
  return new Uint32Array(bytes!.slice().buffer);
}

async function onEverySet(work: (device: CpuDevice, isa: InstructionSet) => Promise<void>): Promise<void> {
  for (const isa of usableSets(library()).keys()) {
    const device = openCpu({ isa, threads: 2 });
    await work(device, isa);
    device.close();
  }
}

const floats = (seed: number, ...shape: number[]) => uniform(seed, shape).data as Float32Array<ArrayBuffer>;

test("a row's results have the same bits alone and among up to 70 others", async () => {
  const [inner, cols] = [200, 37];
  const x = floats(1, 70, inner);
  for (const type of quantTypes) {
    const params = { inner, cols, gelu: 0, add: 0, ...groupingOf(type) };
    const w = quantized(2, params, inner, cols).data;
    const run = (device: CpuDevice, from: number, rows: number) => {
      const values = { x: x.slice(from * inner, (from + rows) * inner), w, b: floats(3, cols) };
      return result(device, matmulForward, { ...values, y: new Float32Array(rows * cols) }, { rows, ...params });
    };
    await onEverySet(async (device) => {
      const all = await run(device, 0, 70);
      for (const [from, rows] of [...Array.from({ length: 9 }, (_, i) => [i, i + 1] as const), [3, 61] as const])
        expect(await run(device, from, rows)).toEqual(all.slice(from * cols, (from + rows) * cols));
    });
  }
}, 60_000);

test("an expert's rows have the same bits grouped and one by one", async () => {
  const [inner, cols, rows] = [96, 50, 23];
  const params = { rows, inner, cols, first: 0, count: 3, bits: 4, group: 32 };
  const expert = integers(1, [rows], 3);
  const { order, start } = grouped(expert.data, 3);
  const w = quantized(2, params, inner, cols, 3).data;
  const shared = { x: floats(3, rows, inner), w, b: floats(4, 3, cols), h: new Float32Array(rows * cols) };
  await onEverySet(async (device) => {
    const { x, ...rest } = shared;
    const of = (kernel: Kernel, values: Record<string, Values>, more: Record<string, number>) =>
      result(device, kernel, { x, ...values, ...rest }, { ...params, ...more });
    const together = await of(upForward, { order: order.data, start: start.data }, { gelu: 1 });
    const single = await of(upRowForward, { expert: expert.data }, { at: 0 });
    for (let i = 0; i < rows; i++) {
      const t = order.data[i]!;
      expect(together.slice(i * cols, (i + 1) * cols)).toEqual(single.slice(t * cols, (t + 1) * cols));
    }
  });
}, 60_000);

test("several blocks of rows and of columns", async () => {
  for (const type of ["q8_32", "q4_64"] as const) {
    const params = { rows: 270, inner: 100, cols: 290, gelu: 0, add: 1, ...groupingOf(type) };
    const { rows, inner, cols } = params;
    const example = {
      label: type,
      params,
      tensors: {
        x: uniform(1, [rows, inner]),
        w: quantized(2, params, inner, cols),
        b: uniform(3, [cols]),
        y: uniform(4, [rows, cols]),
      },
    };
    await onEverySet(async (device, isa) =>
      expect(await check(device, matmulForward, example, "f32", boundOf(isa, matmulForward, "f32"))).toEqual([]),
    );
  }
}, 60_000);

test("experts with none to hundreds of rows", async () => {
  const counts = [1, 0, 2, 300, 7, 8, 9, 20];
  const routed = counts.flatMap((n, e) => Array<number>(n).fill(e));
  const shuffled = routed.map((_, i) => routed[(i * 7) % routed.length]!);
  const params = { rows: routed.length, inner: 160, cols: 40, first: 0, count: counts.length, at: 0 };
  const grouping = { bits: 4, group: 64 };
  const example = {
    label: "uneven experts",
    params: { ...params, ...grouping },
    tensors: {
      h: uniform(1, [params.rows, params.inner]),
      ...grouped(shuffled, counts.length),
      prob: uniform(2, [params.rows]),
      w: quantized(3, grouping, params.inner, params.cols, params.count),
      b: uniform(4, [params.count, params.cols]),
      y: uniform(5, [params.rows, params.cols]),
    },
  };
  await onEverySet(async (device, isa) =>
    expect(await check(device, downForward, example, "f32", boundOf(isa, downForward, "f32"))).toEqual([]),
  );
}, 60_000);

test("the largest codes and activations do not overflow", async () => {
  const [rows, inner, cols] = [9, 256, 16];
  for (const type of quantTypes) {
    const grouping = groupingOf(type);
    // All codes are the largest, scales 1, minimums 0.
    const words = new Uint32Array(matrixWords(grouping, inner, cols)).fill(0xffffffff);
    const block = words.length / (inner / grouping.group);
    for (let at = 0; at < words.length; at += block) words.fill(0x3c003c00, at, at + 8).fill(0, at + 8, at + 16);
    const params = { rows, inner, cols, gelu: 0, add: 0, ...grouping };
    for (const sign of [1, -1]) {
      const values = { x: new Float32Array(rows * inner).fill(sign), w: words, b: new Float32Array(cols) };
      const expected = sign * inner * (2 ** grouping.bits - 1);
      await onEverySet(async (device) => {
        const y = await result(device, matmulForward, { ...values, y: new Float32Array(rows * cols) }, params);
        const off = [...new Float32Array(y.buffer)].filter((v) => Math.abs(v / expected - 1) > 1e-6);
        expect(off).toEqual([]);
      });
    }
  }
}, 60_000);

test("what is no finite number stays so, in its row alone; rows of zeros give the bias", async () => {
  const [rows, inner, cols] = [4, 64, 20];
  const params = { rows, inner, cols, gelu: 0, add: 0, bits: 8, group: 32 };
  const x = floats(1, rows, inner);
  x[inner + 40] = Number.NaN;
  x[2 * inner + 3] = Number.POSITIVE_INFINITY;
  x.fill(0, 3 * inner);
  const [w, b] = [quantized(2, params, inner, cols).data, floats(3, cols)];
  await onEverySet(async (device) => {
    const words = await result(device, matmulForward, { x, w, b, y: new Float32Array(rows * cols) }, params);
    const y = new Float32Array(words.buffer);
    for (let i = 0; i < y.length; i++) expect(Number.isFinite(y[i]!)).toBe(i < cols || i >= 3 * cols);
    expect(y.slice(3 * cols)).toEqual(b);
  });
});

/** Matrices [inner, 16] that are hard to quantize as the reference does, and what all importances are multiplied with. */
const hard: [label: string, value: (k: number, c: number) => number, importance: number][] = [
  ["zeros of either sign", (k, c) => ((c >> (k & 3)) & 1 ? -0 : 0), 1],
  ["too small to be normal", (k, c) => (k - c) * 1e-41, 1],
  ["sums too small to be normal", (k, c) => Math.sin(k * (c + 1)) * 1e-3, 1e-19],
  ["near the smallest f16", (k, c) => Math.cos(k + c) * 2 ** -(10 + c), 1],
  ["near the largest f16", (k, c) => Math.cos(k * c) * 60_000 * (1 + c / 40), 1],
  ["far beyond f16", (k, c) => (k & 1 ? -1 : 1) * 10 ** (c + 10), 1],
  ["beyond f32's differences", (k, c) => (k & 1 ? -3e38 : 3e38) / (c + 1), 1],
  ["halves between codes", (k, c) => ((k * 7) % 31) / 2 + c, 1],
  ["one outlier", (k, c) => (k === c ? 50 : Math.sin(k * 12.9898) * 0.02), 1],
];

test.each(hard)("words as the reference finds them: %s", async (_, value, factor) => {
  const [inner, cols] = [70, 16];
  const x = Float32Array.from({ length: inner * cols }, (_, i) => value(Math.floor(i / cols), i % cols));
  const importance = Float32Array.from({ length: inner }, (_, k) => (k % 5 === 0 ? 0 : factor * (1 + (k % 3))));
  for (const type of ["q4_32", "q8_64"] as const) {
    const grouping: Grouping = groupingOf(type);
    const expected = quantize(x, grouping, inner, cols, importance);
    const sums = new Float32Array(2 * Math.ceil(inner / grouping.group));
    const values = { x, importance, w: new Uint32Array(expected.length), sums };
    await onEverySet(async (device) => {
      const words = await result(device, matrixQuantize, values, { inner, cols, turned: 0, ...grouping }, "w");
      expect(words).toEqual(expected);
    });
  }
});
