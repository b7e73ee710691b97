/** Caches in fewer bits: what they take, how near they stay to f32, and what they make of numbers that do not fit. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendCompactForward } from "../../kernels/attention/append_compact_forward.ts";
import { attentionCompactForward } from "../../kernels/attention/attention_compact_forward.ts";
import { attentionForward } from "../../kernels/attention/attention_forward.ts";
import { compactWords, packRow, unpackRow } from "../../kernels/attention/compact.ts";
import { listed, uniform } from "../../kernels/cases.ts";
import { CountingDevice } from "../../src/device/counting.ts";
import { openCpu } from "../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../src/device/cpu/library.ts";
import type { Device } from "../../src/device/device.ts";
import { openGpu } from "../../src/device/gpu/gpu.ts";
import { openReference } from "../../src/device/reference.ts";
import { cacheTypes, createCache } from "../../src/model/cache.ts";
import { presets } from "../../src/model/presets.ts";
import { greedy } from "../../src/model/session.ts";
import { nmse } from "../kernels/compare.ts";
import { tinyConfig, tinySession } from "./tiny.ts";

const prompt = [7, 300, 3, 250, 9, 9, 42];
const compact = ["f16", "q8"] as const;

test("bytes of LOLA's cache at 2,048 positions", () => {
  const bytes = cacheTypes.map((type) => {
    const device = new CountingDevice(openReference());
    createCache(device, { ...tinyConfig, ...presets["lola-v1"].sizes }, 1, 2048, type);
    return device.memory;
  });
  expect(bytes).toEqual([805_306_368, 402_653_184, 213_909_504]);
});

test("f16 keeps what it can hold; 8 bits keep each group of 32 within half a step", () => {
  const size = 77;
  const row = uniform(1, [size], 3).data as Float32Array;
  row[70] = 1000;
  const kept = (bits: number) => {
    const words = new Uint32Array(compactWords(bits, size));
    packRow(row, bits, words, 0);
    return unpackRow(words, bits, size, 0);
  };
  for (const [d, x] of kept(16).entries()) expect(x).toBe(Math.f16round(row[d]!));
  for (const [d, x] of kept(8).entries()) {
    const step = (d < 64 ? 3 : 1000) / 127;
    expect(Math.abs(x - row[d]!)).toBeLessThanOrEqual(0.51 * step);
  }
  // A large value costs its own group alone.
  expect(nmse(kept(8).subarray(0, 64), row.subarray(0, 64))).toBeLessThan(2e-5);
});

const engines: Record<string, () => Device | Promise<Device>> = {
  reference: openReference,
  gpu: () => openGpu({ software: true }),
};
for (const isa of usableSets(library()).keys()) engines[`cpu, ${isa}`] = () => openCpu({ isa, threads: 2 });

for (const [name, open] of Object.entries(engines))
  describe(name, () => {
    let device: Device;
    beforeAll(async () => {
      device = await open();
    });
    afterAll(() => device.close());

    /** Appends `rows` keys and values, then attends to them: f32 [rows, C]. */
    async function attend(qkv: Float32Array<ArrayBuffer>, rows: number, heads: number, size: number, bits: 16 | 8) {
      const cache = [1, heads, rows, compactWords(bits, size)];
      const tensors = {
        qkv: device.tensor({ label: "qkv", shape: [qkv.length], type: "f32" }),
        seq: device.tensor({ label: "seq", shape: [rows], type: "u32" }),
        pos: device.tensor({ label: "pos", shape: [rows], type: "u32" }),
        k: device.tensor({ label: "k", shape: cache, type: "u32" }),
        v: device.tensor({ label: "v", shape: cache, type: "u32" }),
      };
      const y = device.tensor({ label: "y", shape: [rows, heads * size], type: "f32" });
      device.upload(tensors.qkv, new Uint8Array(qkv.buffer));
      device.upload(tensors.pos, new Uint8Array(Uint32Array.from({ length: rows }, (_, t) => t).buffer));
      const params = { rows, heads, head_size: size, context: rows, bits };
      const program = device.program("attend", [
        { kernel: appendCompactForward, bindings: tensors, params },
        {
          kernel: attentionCompactForward,
          bindings: { ...tensors, y },
          params: { ...params, scale: 1 / Math.sqrt(size) },
        },
      ]);
      const [bytes] = await device.run(program, {}, { read: [y] });
      for (const tensor of [...Object.values(tensors), y]) device.free(tensor);
      return new Float32Array(bytes!.slice().buffer);
    }

    /** The same with a cache that loses nothing. */
    function exact(qkv: Float32Array, rows: number, heads: number, size: number): Float32Array {
      const y = new Float32Array(rows * heads * size);
      attentionForward.reference(
        {
          ...{ qkv, k: qkv, v: qkv, y },
          seq: listed(Array<number>(rows).fill(0)).data,
          pos: listed(Array.from({ length: rows }, (_, t) => t)).data,
        },
        { rows, heads, head_size: size, context: rows, packed: 1, scale: 1 / Math.sqrt(size) },
      );
      return y;
    }

    // f16 rounds to 11 bits: some 5e-8 of the mean square. 8 bits round uniform values to 127 steps each way: 2e-5.
    // AMX multiplies bf16.
    test("attention stays near to f32", async () => {
      const [rows, heads, size] = [70, 2, 40];
      const qkv = uniform(1, [rows, 3 * heads * size], 2).data as Float32Array<ArrayBuffer>;
      const expected = exact(qkv, rows, heads, size);
      const bound = { 16: name === "cpu, amx" ? 2e-5 : 2e-7, 8: 6e-5 } as const;
      for (const bits of [16, 8] as const)
        expect(nmse(await attend(qkv, rows, heads, size, bits), expected)).toBeLessThan(bound[bits]);
    });

    // Rows one by one and in blocks; every third position has channels of 1e4, or beyond what f16 holds.
    test.each([1e4, 1e7])("keys and values of %p stay finite", async (large) => {
      for (const rows of [5, 40]) {
        const [heads, size] = [2, 40];
        const qkv = uniform(1, [rows, 3 * heads * size]).data as Float32Array<ArrayBuffer>;
        for (let t = 0; t < rows; t += 3)
          for (let c = heads * size; c < 3 * heads * size; c += 7) qkv[t * 3 * heads * size + c]! *= large;
        for (const bits of [16, 8] as const) {
          const y = await attend(qkv, rows, heads, size, bits);
          expect(y.every(Number.isFinite)).toBe(true);
        }
      }
    });

    test.each(compact)("a session with a cache in %s: next tokens, a rewind, scores", async (cache) => {
      const [whole, session] = [tinySession(openReference()), tinySession(device, { cache, chunk: 4 })];
      const [expected, actual] = [await whole.scores(prompt), await session.scores(prompt)];
      const bound = cache === "q8" || name === "cpu, amx" ? 3e-5 : 1e-7;
      expect(nmse(actual.logits, expected.logits)).toBeLessThan(bound);
      const drawn = async (sequence: typeof session) => {
        sequence.rewind();
        const ids = [(await sequence.feed(prompt, greedy)).id];
        while (ids.length < 8) ids.push((await sequence.next()).id);
        sequence.rewind(4);
        ids.push((await sequence.feed(prompt.slice(4), greedy)).id);
        return ids;
      };
      // The oracle has the same cache, and rounds nothing else.
      expect(await drawn(session)).toEqual(await drawn(tinySession(openReference(), { cache })));
    });
  });

test("a cache that a broken model filled is noticed", async () => {
  for (const cache of compact) {
    const device = openCpu({ threads: 1 });
    const session = tinySession(device, { cache });
    const { wpe } = session.weights;
    device.upload(wpe, new Uint8Array(new Float32Array(tinyConfig.width).fill(Number.NaN).buffer));
    const failure = await session.feed(prompt, greedy).catch((error) => error);
    expect(failure.message).toContain("not finite");
    device.close();
  }
});
