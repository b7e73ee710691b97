/** Quantized tensors in files: what they hold comes back, as words and as floats, and lies where it can be mapped. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromFloats, toFloats } from "../../src/base/float.ts";
import { dequantize, groupingOf, type QuantType, quantTypes } from "../../src/base/quant.ts";
import { fileBytes, memoryBytes } from "../../src/checkpoint/bytes.ts";
import { openContainer, writeContainer } from "../../src/checkpoint/container.ts";
import { exportHf } from "../../src/checkpoint/export.ts";
import { FloatReader } from "../../src/checkpoint/floats.ts";
import { importModel } from "../../src/checkpoint/import.ts";
import { openLola, saveLola } from "../../src/checkpoint/lola-file.ts";
import { describeModel } from "../../src/checkpoint/models.ts";
import { openModel } from "../../src/checkpoint/open.ts";
import { quantBytes, quantMatrix, weightKind } from "../../src/checkpoint/quantized.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { parseTokenizer } from "./published.ts";
import { memoryOutput, readAll, tinyConfig, tinyFile, tinyTensors, tinyTokenizer } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-quantized-"));
afterAll(() => rmSync(root, { recursive: true }));

const content = (model: Pick<ModelSource, "read">, name: string) =>
  Buffer.concat([...model.read(name)].map((p) => p.slice()));
const floats = (model: ModelSource, name: string): Float32Array =>
  Float32Array.from([...new FloatReader(model).read(name)].flatMap((piece) => [...piece]));

/** What the words of a tensor say, by the reference, in the order of the stored shape. */
function said(model: ModelSource, name: string): Float32Array {
  const { type, shape } = model.tensors.get(name)!;
  const { inner, cols, turned } = quantMatrix(name, shape);
  const words = new Uint32Array(new Uint8Array(content(model, name)).buffer);
  const values = dequantize(words, groupingOf(type as QuantType), inner, cols);
  return turned ? values.map((_, i) => values[(i % inner) * cols + Math.floor(i / inner)]!) : values;
}

for (const type of quantTypes)
  test(`${type}: written, read, exported and imported`, async () => {
    const file = memoryBytes(await tinyFile(type), `${type}.lola`);
    const model = openLola(file);
    model.verify();
    const original = new Map(Array.from(tinyTensors(), ({ name, pieces }) => [name, [...(pieces as Uint8Array[])]]));
    const matrices = [...model.tensors.keys()].filter((name) => weightKind(name));
    expect(matrices).toHaveLength(1 + 2 * 2 + 2 + 2 * 2);
    for (const { name, type: stored } of model.tensors.values()) {
      expect(stored).toBe(weightKind(name) ? type : "f32");
      const wanted = toFloats(original.get(name)![0]!, "f32");
      const found = floats(model, name);
      if (!weightKind(name)) expect(found).toEqual(wanted);
      else {
        expect(found).toEqual(said(model, name));
        // Values in ±1/8: half a step of the grid, and the rounding of scale and minimum.
        const step = 0.25 / (2 ** groupingOf(type).bits - 1);
        for (const [i, value] of found.entries()) expect(Math.abs(value - wanted[i]!)).toBeLessThan(0.55 * step + 1e-4);
      }
    }
    expect(describeModel(model).tensors.find(({ name }) => name === "wte.weight")!.type).toBe(type);

    const folder = join(root, type);
    const { dequantized } = await exportHf(model, folder, { "tokenizer.json": JSON.stringify(tinyTokenizer) });
    expect(dequantized.toSorted()).toEqual(matrices.toSorted());
    const exported = openModel(folder, parseTokenizer);
    for (const name of model.tensors.keys()) expect(floats(exported, name)).toEqual(floats(model, name));
    exported.close();

    // As it is, and as floats.
    const [same, wide] = [join(root, `${type}.lola`), join(root, `${type}-f32.lola`)];
    const copy = await importModel(model, same);
    expect([copy.identity, copy.converted, copy.losses]).toEqual([model.identity, 0, []]);
    const report = await importModel(model, wide, { type: "f32" });
    expect([report.converted, report.losses]).toEqual([matrices.length, []]);
    const widened = openLola(fileBytes(wide));
    for (const name of model.tensors.keys()) expect(floats(widened, name)).toEqual(floats(model, name));
    widened.close();
  });

describe("layout", () => {
  const [inner, cols] = [1000, 4000];
  const name = "h.0.mlp.c_fc.weight";

  /** Two chunks of a matrix whose words are bytes below `below`, between two small tensors. */
  const large = async (below: number, store: "zstd" | "raw") => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const written = Uint8Array.from({ length: quantBytes(name, "q8_64", [inner, cols]) }, random);
    const output = memoryOutput();
    await writeContainer(
      output,
      "test",
      {},
      [
        { name: "wpe.weight", type: "f32", shape: [3], pieces: [new Uint8Array(12)] },
        { name, type: "q8_64", shape: [inner, cols], pieces: [written] },
        { name: "ln_f.bias", type: "f32", shape: [3], pieces: [new Uint8Array(12)] },
      ],
      { store },
    );
    const container = openContainer(memoryBytes(output.bytes(), "test"));
    return { container, chunks: container.tensors.get(name)!.chunks, bytes: output.bytes(), written };
  };

  test("raw content lies in one piece", async () => {
    const { chunks, bytes, written } = await large(236, "raw");
    expect(chunks.map(({ codec }) => codec)).toEqual(["raw", "raw"]);
    const [first] = chunks;
    expect(Buffer.compare(bytes.subarray(first!.offset, first!.offset + written.length), written)).toBe(0);
  });

  test("zstd is used where asked for; floats come in panels that straddle chunks", async () => {
    const { container, chunks, written } = await large(48, "zstd");
    expect(chunks.map(({ codec }) => codec)).toEqual(["zstd", "zstd"]);
    const wanted = dequantize(new Uint32Array(written.buffer), groupingOf("q8_64"), inner, cols);
    let at = 0;
    for (const piece of new FloatReader(container).read(name)) {
      expect(Buffer.compare(fromFloats(piece, "f32"), fromFloats(wanted.subarray(at, at + piece.length), "f32"))).toBe(
        0,
      );
      at += piece.length;
    }
    expect(at).toBe(wanted.length);
  });
});

test("types mix in one file, and count in the identity", async () => {
  const provenance = { made: "quantize", from: "test", version: "0", notes: [] };
  const mixed = [...tinyTensors("q8_32")].map((tensor, i) => {
    const other = [...tinyTensors("q4_64")][i]!;
    return weightKind(tensor.name) === "experts" ? other : tensor;
  });
  const path = join(root, "mixed.lola");
  const identity = await saveLola(path, { config: tinyConfig, tokenizer: tinyTokenizer, provenance, tensors: mixed });
  const model = openLola(fileBytes(path));
  model.verify();
  expect(model.tensors.get("h.1.moe.experts.1.c_proj.weight")!.type).toBe("q4_64");
  expect(model.identity).toBe(identity);
  expect(identity).not.toBe(readAll(await tinyFile("q8_32")).identity);
  model.close();
});
