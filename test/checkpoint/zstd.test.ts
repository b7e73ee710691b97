/** Both zstd engines read each other's frames and stop at the limit they are given. */
import { expect, test } from "bun:test";
import { DataError } from "../../src/base/errors.ts";
import { ChunkCoder } from "../../src/checkpoint/chunk.ts";
import { bunZstd, nativeZstd, zstd, zstdEngine } from "../../src/checkpoint/zstd.ts";
import { timed } from "./tiny.ts";

const native = nativeZstd();
const engines = native ? [native, bunZstd] : [bunZstd];
const raw = new TextEncoder().encode("All human beings are born free and equal. ".repeat(5000));

test("the native engine is used where it loads", () => {
  expect(zstdEngine()).toBe(native ? "zstd-napi" : "bun");
  expect(zstd().name).toBe(zstdEngine());
});

for (const writer of engines) {
  for (const reader of engines) {
    test(`${writer.name} writes, ${reader.name} reads`, () => {
      for (const length of [1, 100, raw.length]) {
        const stored = writer.compress(raw.subarray(0, length), 1).slice();
        const target = new Uint8Array(length);
        reader.decompress(stored, target);
        expect(Buffer.compare(target, raw.subarray(0, length))).toBe(0);
        expect(() => reader.decompress(stored, new Uint8Array(length + 1))).toThrow();
        if (length > 1) expect(() => reader.decompress(stored, new Uint8Array(length - 1))).toThrow();
        expect(() => reader.decompress(stored.subarray(0, -1), target)).toThrow();
      }
    });
  }

  test(`${writer.name}: 512 MiB of zeros are not unpacked`, () => {
    const bomb = new Uint8Array(16 << 20);
    const frame = writer.compress(bomb, 1).slice();
    const frames = Buffer.concat(Array.from({ length: 32 }, () => frame));
    const refuse = () => expect(() => writer.decompress(frames, new Uint8Array(4096))).toThrow();
    expect(timed(refuse, 50)).toBeLessThan(50);
  });
}

test("chunks of every element width come back, from either engine", () => {
  for (const engine of engines) {
    for (const width of [1, 2, 4]) {
      const coder = new ChunkCoder(engine);
      const content = raw.subarray(0, 4096 * width);
      const { codec, stored } = coder.pack(content, width);
      expect(codec).toBe(width === 1 ? "zstd" : "planes");
      const hash = Bun.hash.xxHash64(stored).toString(16).padStart(16, "0");
      const chunk = { codec, offset: 0, stored: stored.length, raw: content.length, hash };
      expect(Buffer.compare(new ChunkCoder(bunZstd).unpack(chunk, stored.slice(), width, "x"), content)).toBe(0);
      expect(() => coder.unpack({ ...chunk, hash: "0".repeat(16) }, stored, width, "x")).toThrow(DataError);
    }
  }
});

test("what zstd cannot make smaller stays raw", () => {
  const noise = crypto.getRandomValues(new Uint8Array(4096));
  expect(new ChunkCoder().pack(noise, 4)).toEqual({ codec: "raw", stored: noise });
});
