/** Error compensation: its shares held against solved equations, its matrices against plain rounding, for inputs that go together. */
import { afterAll, describe, expect, test } from "bun:test";
import { dequantize, groupingOf, type QuantType, quantize } from "../../src/base/quant.ts";
import { openCpu } from "../../src/device/cpu/cpu.ts";
import type { Device } from "../../src/device/device.ts";
import { openReference } from "../../src/device/reference.ts";
import { feedbackOf } from "../../src/quantize/compensate.ts";
import { MatrixQuantizer } from "../../src/quantize/matrix.ts";
import { affordable, momentBytes } from "../../src/quantize/moments.ts";
import { bell } from "./made.ts";

const device = openReference();
afterAll(() => device.close());

/** XᵀX of inputs that share a few causes: [inner, inner]. */
function momentsOf(inner: number, rows: number, seed = 11): Float32Array {
  const [causes, own, mix] = [bell(rows * 5, seed), bell(rows * inner, seed + 1), bell(5 * inner, seed + 2)];
  const x = own.map((value, i) => {
    const [t, k] = [Math.floor(i / inner), i % inner];
    let sum = 0.3 * value;
    for (let c = 0; c < 5; c++) sum += 50 * causes[5 * t + c]! * mix[c * inner + k]!;
    return sum;
  });
  const moments = new Float32Array(inner * inner);
  for (let t = 0; t < rows; t++)
    for (let i = 0; i < inner; i++)
      for (let j = 0; j < inner; j++) moments[i * inner + j]! += x[t * inner + i]! * x[t * inner + j]!;
  return moments;
}

/** x of a·x = b, by elimination. */
function solve(a: number[][], b: number[]): number[] {
  const m = a.map((row, i) => [...row, b[i]!]);
  for (let i = 0; i < m.length; i++)
    for (let r = 0; r < m.length; r++) {
      if (r === i) continue;
      const share = m[r]![i]! / m[i]![i]!;
      for (let c = i; c <= m.length; c++) m[r]![c]! -= share * m[i]![c]!;
    }
  return m.map((row, i) => row[m.length]! / row[i]!);
}

test("a row becomes what it would be if all rows to come were free to make good the errors so far", () => {
  const inner = 7;
  const moments = momentsOf(inner, 30);
  const feedback = feedbackOf(moments, inner);
  const mean = Array.from({ length: inner }, (_, i) => moments[i * inner + i]!).reduce((a, b) => a + b) / inner;
  const h = (i: number, j: number) => moments[i * inner + j]! + (i === j ? 0.01 * mean : 0);
  const errors = bell(inner, 3);
  for (let i = 1; i < inner; i++) {
    const later = Array.from({ length: inner - i }, (_, r) => i + r);
    const before = Array.from({ length: i }, (_, j) => j);
    const best = solve(
      later.map((r) => later.map((c) => h(r, c))),
      later.map((r) => -before.reduce((sum, j) => sum + h(r, j) * errors[j]!, 0)),
    );
    const carried = before.reduce((sum, j) => sum + feedback[i * inner + j]! * errors[j]!, 0);
    expect(carried).toBeCloseTo(-best[0]!, 9);
  }
});

test("inputs that never were anything but 0 share no errors", () => {
  const feedback = feedbackOf(new Float32Array(9), 3);
  expect([feedback[3], feedback[6], feedback[7]]).toEqual([0, 0, 0]);
});

describe("a matrix", () => {
  const [inner, cols] = [200, 41];
  const name = "h.0.mlp.c_fc.weight";
  const weights = bell(inner * cols, 5);
  const moments = momentsOf(inner, 400);
  const identity = new Float32Array(inner * inner).map((_, i) => (i % (inner + 1) === 0 ? 3 : 0));
  const ones = new Float32Array(inner).fill(1);

  const compensated = async (type: QuantType, xx: Float32Array, engine: Device = device) => {
    const matrix = { name, type, shape: [inner, cols] };
    const held = engine.memory;
    const quantizer = new MatrixQuantizer(engine, [matrix]);
    const sums = { error: 0, energy: 0 };
    const told: number[] = [];
    const pieces = [weights.subarray(0, 501), weights.subarray(501, 5003), weights.subarray(5003)];
    const bytes: Uint8Array[] = [];
    for await (const piece of quantizer.compensate(matrix, pieces, ones, xx, sums, (done) => told.push(done)))
      bytes.push(piece.slice());
    quantizer.close();
    expect(engine.memory).toBe(held);
    return { words: new Uint32Array(new Uint8Array(Buffer.concat(bytes)).buffer), sums, told };
  };

  /** tr EᵀHE of what the words say. */
  const cost = (words: Uint32Array, type: QuantType) => {
    const errors = dequantize(words, groupingOf(type), inner, cols).map((value, i) => weights[i]! - value);
    let sum = 0;
    for (let i = 0; i < inner; i++)
      for (let j = 0; j < inner; j++) {
        let product = 0;
        for (let n = 0; n < cols; n++) product += errors[i * cols + n]! * errors[j * cols + n]!;
        sum += moments[i * inner + j]! * product;
      }
    return { sum, squares: errors.reduce((all, error) => all + error * error, 0) };
  };

  for (const type of ["q4_32", "q4_64", "q4_128", "q8_32", "q8_64", "q8_128"] as const)
    test(`${type}: products lose much less than by plain rounding, and the errors told are those of the words`, async () => {
      const { words, sums, told } = await compensated(type, moments);
      const plain = cost(quantize(weights, groupingOf(type), inner, cols), type);
      const found = cost(words, type);
      expect(found.sum).toBeLessThan(0.5 * plain.sum);
      expect(found.squares).toBeGreaterThan(plain.squares);
      expect(sums.error / found.squares).toBeCloseTo(1, 4);
      expect(sums.energy).toBeCloseTo(
        weights.reduce((sum, weight) => sum + weight ** 2, 0),
        6,
      );
      expect(told).toHaveLength(Math.ceil(inner / groupingOf(type).group));
      expect(told.at(-1)).toBe(inner * cols);
    });

  test("inputs that have nothing to do with each other: the words of plain rounding", async () => {
    for (const type of ["q4_64", "q8_32"] as const)
      expect((await compensated(type, identity)).words).toEqual(quantize(weights, groupingOf(type), inner, cols));
  });

  test("the same bytes every time, from any number of threads", async () => {
    const found: Uint32Array[] = [];
    for (const threads of [1, 3, 3]) {
      const engine = openCpu({ threads });
      found.push((await compensated("q4_64", moments, engine)).words);
      engine.close();
    }
    expect(found[1]).toEqual(found[0]!);
    expect(found[2]).toEqual(found[0]!);
    expect(cost(found[0]!, "q4_64").sum / cost((await compensated("q4_64", moments)).words, "q4_64").sum).toBeCloseTo(
      1,
      1,
    );
  });
});

test("the memory of a model's moments is told by its tensors: all matrices but the embedding", () => {
  const tensors = [
    { name: "wte.weight", shape: [512, 64] },
    { name: "ln_f.weight", shape: [64] },
    { name: "h.0.attn.c_attn.weight", shape: [64, 192] },
    { name: "h.1.moe.gate.weight", shape: [64, 4] },
    { name: "h.1.moe.experts.0.c_proj.weight", shape: [128, 64] },
  ];
  expect(momentBytes(tensors)).toBe(4 * (64 ** 2 + 128 ** 2));
});

test("moments are kept while they fit: few inputs first, then those that come first, 4,096 at most", () => {
  const of = (count: number, inner: number) =>
    Array.from({ length: count }, (_, i) => ({ name: `${inner}.${i}`, inner }));
  expect(affordable([...of(3, 8192), ...of(2, 512)])).toEqual({
    fit: new Set(["512.0", "512.1"]),
    bytes: 2 * 4 * 512 ** 2,
  });
  const large = [...affordable([...of(20, 4096), ...of(1, 1024)]).fit];
  expect(large[0]).toBe("1024.0");
  expect(large.slice(1)).toEqual(of(15, 4096).map(({ name }) => name));
});
