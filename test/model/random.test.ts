/** Random weights of every type: in their range, the same each time, with nothing beyond a quantized matrix. */
import { expect, test } from "bun:test";
import { toFloats } from "../../src/base/float.ts";
import { blockWords, dequantize, groupingOf, matrixWords, quantTypes } from "../../src/base/quant.ts";
import { quantMatrix } from "../../src/checkpoint/quantized.ts";
import { randomWeights } from "../../src/model/random.ts";
import { tinyConfig } from "./tiny.ts";

/** Fewer tokens than elsewhere: to take blocks apart is slow. */
const config = { ...tinyConfig, vocabulary: 75 };
const bytesOf = (type: Parameters<typeof randomWeights>[1], name: string) =>
  Buffer.concat(Array.from(randomWeights(config, type).read(name), (piece) => Buffer.from(piece)));

const matrices = ["h.0.attn.c_attn.weight", "h.1.moe.experts.2.c_proj.weight", "wte.weight"];

/** Mean 0 and deviation 0.03 / √3, within five standard errors; nothing beyond ± 0.03 but by a code's rounding. */
function expectUniform(values: Float32Array): void {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const square = values.reduce((sum, v) => sum + v * v, 0) / values.length;
  const sigma = 0.03 / Math.sqrt(3);
  expect(Math.abs(mean)).toBeLessThan((5 * sigma) / Math.sqrt(values.length));
  // Codes of 4 bits lie in steps of 2/15, ends included: their variance is (16 + 1) / (16 - 1) that of the range.
  expect(Math.sqrt(square) / sigma).toBeGreaterThan(0.94);
  expect(Math.sqrt(square) / sigma).toBeLessThan(1.1);
  expect(values.every((v) => Math.abs(v) < 0.0301)).toBe(true);
}

test.each(["f32", "f16", "bf16"] as const)("%s weights are uniform, norms 1 and biases 0", (type) => {
  for (const name of [...matrices, "h.1.moe.gate.weight", "wpe.weight"]) {
    const bytes = bytesOf(() => type, name);
    expect(bytes.equals(bytesOf(() => type, name))).toBe(true);
    expectUniform(toFloats(new Uint8Array(bytes), type));
  }
  expect(new Set(toFloats(new Uint8Array(bytesOf(() => type, "h.2.ln_2.weight")), type))).toEqual(new Set([1]));
  expect(new Set(toFloats(new Uint8Array(bytesOf(() => type, "h.0.mlp.c_fc.bias")), type))).toEqual(new Set([0]));
});

test.each(quantTypes)("%s weights are random on their grid, and 0 beyond the matrix", (type) => {
  for (const name of matrices) {
    const bytes = new Uint8Array(bytesOf((of) => (matrices.includes(of) ? type : "f32"), name));
    const words = new Uint32Array(bytes.buffer);
    const { inner, cols } = quantMatrix(name, randomWeights(config, () => "f32").tensors.get(name)!.shape);
    const grouping = groupingOf(type);
    expect(words).toHaveLength(matrixWords(grouping, inner, cols));
    expectUniform(dequantize(words, grouping, inner, cols));
    // Rows beyond have the code 0, which says the minimum; columns beyond are 0 altogether.
    const [rows, columns] = [Math.ceil(inner / grouping.group) * grouping.group, Math.ceil(cols / 16) * 16];
    const padded = dequantize(words, grouping, rows, columns);
    const beyond = Array.from(
      { length: (rows - inner) * cols },
      (_, i) => [inner + Math.floor(i / cols), i % cols] as const,
    );
    expect(beyond.length).toBeGreaterThan(0);
    for (const [k, n] of beyond) expect(padded[k * columns + n]).toBe(Math.f16round(-0.03));
    const panel = words.length / (columns / 16);
    expect(
      words.subarray(-panel).some((word, i) => i % 16 >= cols % 16 && i % blockWords(grouping) >= 16 && word !== 0),
    ).toBe(cols % 16 === 0);
  }
});
