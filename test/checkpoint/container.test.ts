/** Reading and writing below the rules: ranges, tensors of many chunks, pieces of any length. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileBytes, memoryBytes } from "../../src/checkpoint/bytes.ts";
import { openContainer, writeContainer } from "../../src/checkpoint/container.ts";
import { memoryOutput } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-container-"));
afterAll(() => rmSync(root, { recursive: true }));

test("no byte beyond the end, and no folder", () => {
  const path = join(root, "bytes");
  writeFileSync(path, "0123456789");
  const file = fileBytes(path);
  for (const reader of [file.reader(), memoryBytes(new Uint8Array(10), "memory").reader()]) {
    expect(reader(4, 6)).toHaveLength(6);
    for (const [offset, length] of [
      [4, 7],
      [-1, 2],
      [11, 0],
      [0, Number.NaN],
      [2 ** 60, 1],
    ] as const) {
      expect(() => reader(offset, length)).toThrow("of a file of 10");
    }
  }
  truncateSync(path, 5);
  expect(() => file.reader()(0, 10)).toThrow("became shorter");
  file.close();
  expect(() => fileBytes(root)).toThrow("is not a file");
});

/** Content that compresses, of any length. */
const content = (length: number) => Uint8Array.from({ length }, (_, i) => (i * i) >> 9);

test("a tensor of several chunks comes back, whatever the pieces it came in", async () => {
  const bytes = content(10_000_000);
  for (const size of [1_000_003, 4 << 20, bytes.length]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    const output = memoryOutput();
    await writeContainer(output, "test", {}, [
      { name: "a", type: "f16", shape: [5_000_000], pieces },
      { name: "b", type: "f32", shape: [], pieces: [bytes.subarray(0, 4)] },
    ]);
    const container = openContainer(memoryBytes(output.bytes(), "test"));
    expect(container.tensors.get("a")!.chunks.map(({ raw }) => raw)).toEqual([
      4 << 20,
      4 << 20,
      10_000_000 - (8 << 20),
    ]);
    // Two readers at once do not disturb each other.
    const other = container.read("a");
    let at = 0;
    for (const piece of container.read("a")) {
      expect(Buffer.compare(other.next().value as Uint8Array, bytes.subarray(at, at + piece.length))).toBe(0);
      expect(Buffer.compare(piece, bytes.subarray(at, at + piece.length))).toBe(0);
      at += piece.length;
    }
    expect(at).toBe(bytes.length);
    expect([...container.read("b")]).toEqual([bytes.slice(0, 4)]);
  }
});

test("pieces that do not add up to the shape, and names that cannot be, are refused", async () => {
  const write = (name: string, shape: number[], length: number) =>
    writeContainer(memoryOutput(), "test", {}, [{ name, type: "f32", shape, pieces: [content(length)] }]);
  await expect(write("a", [4], 15)).rejects.toMatchObject({ code: "tensor.length" });
  await expect(write("A", [4], 16)).rejects.toMatchObject({ code: "tensor.name" });
  await expect(write("a", [0], 0)).rejects.toMatchObject({ code: "tensor.shape" });
});
