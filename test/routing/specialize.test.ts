/** Models without some experts: which go, what stays as it is, and that what is fitted comes nearer. */
import { afterAll, describe, expect, test } from "bun:test";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { openDevice } from "../../src/device/choose.ts";
import { Likelihood } from "../../src/model/likelihood.ts";
import { loadModel } from "../../src/model/open.ts";
import { specialize } from "../../src/routing/specialize.ts";
import { chooseExperts } from "../../src/routing/specialize-choose.ts";
import { ExpertTrace } from "../../src/routing/specialize-trace.ts";
import { dummyTokenizer } from "../../src/tokenizer/layout.ts";
import { madeModel } from "../quantize/made.ts";

const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => device.close());

/** Two mixtures of 6 experts, their outputs large enough to matter. */
const made = madeModel(
  {
    ...{ family: "lola_v1", vocabulary: 301, context: 48, width: 36, layers: 4, heads: 3, inner: 70, experts: 6 },
    ...{ normEpsilon: 1e-5, bos: 0, eos: 5, pad: 1 },
  },
  "f32",
  (name, values) => {
    if (/ln_\w+\.weight$/.test(name)) values.fill(1);
    else if (name.includes(".moe.")) for (const [i, v] of values.entries()) values[i] = 10 * v;
  },
);
const source: ModelSource = { ...made, tokenizer: dummyTokenizer(301), identity: "" };
const texts = [
  { language: "eng", text: "all human beings are born free and equal in dignity and rights. ".repeat(6) },
  { language: "swa", text: "watu wote wamezaliwa huru, hadhi na haki zao ni sawa. ".repeat(6) },
];

const bytesOf = (model: ModelSource, name: string) =>
  Buffer.concat(Array.from(model.read(name), (piece) => Buffer.from(piece)));

describe("choosing", () => {
  /** Outputs [rows, experts] that are numbers: what a layer says is one, too. */
  function outputs(logits: number[][], said: number[], made: number[][]) {
    const flat = (rows: number[][]) => rows.flat();
    return {
      ...{ rows: logits.length, experts: logits[0]!.length, logits: Float32Array.from(flat(logits)) },
      norms: Float64Array.from(flat(made), (v) => v * v),
      products: Float64Array.from(flat(made.map((row, t) => row.map((v) => v * said[t]!)))),
    };
  }

  test("an expert goes that another stands in for, though it has more tokens", () => {
    const logits = [
      [9, 8, 0],
      [9, 8, 0],
      [0, 9, 0],
      [0, 0, 9],
    ];
    // Expert 0 and 1 say the same; only 2 says −1.
    const made = logits.map(() => [1, 1, -1]);
    const { experts, route } = chooseExperts(outputs(logits, [1, 1, 1, -1], made), 2);
    expect(experts).toEqual([1, 2]);
    expect([...route]).toEqual([1, 1, 1, 2]);
  });

  test("scales make good what a probability gains", () => {
    const logits = [[Math.log(3), 0]];
    const { experts, probability, scales } = chooseExperts(outputs(logits, [0.75 * 4], [[4, 0]]), 1);
    expect(experts).toEqual([0]);
    expect(probability[0]).toBe(1);
    expect(scales[0]).toBeCloseTo(0.75, 6);
  });

  test("where no token goes, nothing is scaled", () => {
    const { scales, experts } = chooseExperts(outputs([[1, 0]], [1], [[2, 2]]), 2);
    expect(experts).toEqual([0, 1]);
    expect(scales[1]).toBe(1);
  });
});

test("every expert's work is that of the model: the tokens' own experts make what the layer adds", async () => {
  const model = loadModel(device, source);
  const trace = new ExpertTrace(model);
  const ids = Array.from({ length: 60 }, (_, i) => 10 + ((i * 37) % 280));
  const inputs = await trace.inputs(ids);
  expect(inputs.map(({ length }) => length)).toEqual([60 * 36, 60 * 36]);
  const { hidden, output } = await trace.work(0, 4, inputs[0]!);
  // By hand: gelu(y · W + b) · V + c for the last token.
  const read = (name: string) => new Float32Array(new Uint8Array(bytesOf(source, `h.1.moe.experts.4.${name}`)).buffer);
  const [w, b, v, c] = ["c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias"].map(read);
  const y = inputs[0]!.subarray(59 * 36);
  const inner = Array.from({ length: 70 }, (_, f) => {
    const u = y.reduce((sum, value, k) => sum + value * w![k * 70 + f]!, b![f]!);
    return 0.5 * u * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (u + 0.044715 * u ** 3)));
  });
  for (const [f, value] of inner.entries()) expect(hidden[59 * 70 + f]).toBeCloseTo(value, 4);
  for (const n of [0, 17, 35]) {
    const sum = inner.reduce((total, value, f) => total + value * v![f * 36 + n]!, c![n]!);
    expect(output[59 * 36 + n]).toBeCloseTo(sum, 4);
  }
});

test("what stays is copied and renumbered, gate rows with it; second matrices are fitted; the profile adds up", async () => {
  const model = loadModel(device, source);
  const { layers, tokens, source: small, stored } = await specialize(model, texts, { keep: 2 });
  expect(small.config).toEqual({ ...source.config, experts: 2 });
  expect(small.provenance.made).toBe("specialize");
  expect(small.provenance.notes[0]).toBe("specialized to eng, swa: 2 of 6 experts of each layer");
  for (const name of ["wte.weight", "h.1.attn.c_attn.weight", "h.2.mlp.c_fc.bias"])
    expect(bytesOf(small, name).equals(bytesOf(source, name))).toBe(true);
  for (const { layer, kept, covered, error } of layers) {
    expect(kept).toEqual(kept.toSorted((a, b) => a - b));
    expect(covered).toBeGreaterThan(0.1);
    expect(covered).toBeLessThan(1);
    expect(error).toBeGreaterThan(0.01);
    const gate = bytesOf(source, `h.${layer}.moe.gate.weight`);
    const row = 4 * 36;
    const rows = kept.map((e) => gate.subarray(e * row, (e + 1) * row));
    expect(bytesOf(small, `h.${layer}.moe.gate.weight`).equals(Buffer.concat(rows))).toBe(true);
    for (const [i, e] of kept.entries()) {
      const [now, old] = [`h.${layer}.moe.experts.${i}`, `h.${layer}.moe.experts.${e}`];
      expect(bytesOf(small, `${now}.c_fc.weight`).equals(bytesOf(source, `${old}.c_fc.weight`))).toBe(true);
      expect(bytesOf(small, `${now}.c_proj.weight`).equals(bytesOf(source, `${old}.c_proj.weight`))).toBe(false);
      expect(stored.get(`${now}.c_proj.bias`)).toBe("f32");
    }
  }
  expect([...small.routing!.keys()]).toEqual(["eng", "swa"]);
  const sums = [...small.routing!.values()].map((counts) => counts.map((layer) => layer.reduce((a, b) => a + b, 0)));
  for (const [first, second] of sums) expect(first).toBe(second!);
  expect(sums.reduce((sum, [first]) => sum + first!, 0)).toBe(tokens);
});

test("fitted, the model is nearer to what it was than with its experts merely gone", async () => {
  const model = loadModel(device, source);
  const { source: small } = await specialize(model, texts, { keep: 2 });
  const old = new Map([...small.tensors.keys()].map((name) => [name, bytesOf(small, name)]));
  const { layers } = await specialize(model, texts, { keep: 2 });
  for (const { layer, kept } of layers)
    for (const [i, e] of kept.entries())
      for (const part of ["c_proj.weight", "c_proj.bias"])
        old.set(`h.${layer}.moe.experts.${i}.${part}`, bytesOf(source, `h.${layer}.moe.experts.${e}.${part}`));
  const bare: ModelSource = { ...small, tensors: small.tensors, read: (name) => [old.get(name)!], identity: "" };
  const ids = [5, ...model.tokenizer.encode(texts[0]!.text)].slice(0, 48);
  const scored = { tokens: Uint32Array.from(ids.slice(0, -1)), targets: Uint32Array.from(ids.slice(1)) };
  const losses = async (from: ModelSource) => {
    const { config, weights } = loadModel(device, from);
    return (await new Likelihood(device, config, weights, 1).score([scored]))[0]!;
  };
  const [whole, fitted, removed] = [await losses(source), await losses(small), await losses(bare)];
  const distance = (a: Float32Array) => a.reduce((sum, value, t) => sum + (value - whole[t]!) ** 2, 0);
  expect(distance(fitted)).toBeLessThan(0.5 * distance(removed));
});

test("stops when it is told to", async () => {
  const signal = AbortSignal.abort();
  expect(specialize(loadModel(device, source), texts, { keep: 2, signal })).rejects.toThrow("abort");
});
