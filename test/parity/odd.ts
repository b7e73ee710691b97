/**
 * A fixture of everything unround, written on the spot: 5 experts, 3 heads, 5 layers, bf16 shards with an index, vocab.json
 * and merges.txt alone, an old config (bos and eos on a dummy row, no n_inner), mask buffers and a tied head to ignore.
 * What is expected comes from a plain float64 pass after spec §1.2, written here and sharing nothing with the kernels.
 */
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brainsToFloats, floatsToBrains } from "../../src/base/float.ts";
import { philox, unit } from "../../src/base/random.ts";
import { hfTwin, tinyFiles } from "../tokenizer/support.ts";

const [width, layers, heads, experts, vocabulary, context] = [24, 5, 3, 5, 1007, 40];
const inner = 4 * width;
const size = width / heads;
const [batch, time] = [2, 11];

type Vector = Float64Array;

/** Weights by published name, already rounded to bf16. */
function makeWeights(): Map<string, { shape: number[]; bits: Uint16Array; values: Float32Array }> {
  const weights = new Map<string, { shape: number[]; bits: Uint16Array; values: Float32Array }>();
  const add = (name: string, shape: number[], centre = 0, scale = 0.25) => {
    const key = [...name].reduce((hash, c) => (Math.imul(hash, 31) + c.codePointAt(0)!) >>> 0, 7);
    const values = Float32Array.from(
      { length: shape.reduce((a, b) => a * b) },
      (_, i) => centre + (2 * unit(philox([key, 0], [i, 0, 0, 0])[0]) - 1) * scale,
    );
    const bits = floatsToBrains(values);
    weights.set(`transformer.${name}`, { shape, bits, values: brainsToFloats(bits) });
  };
  const pair = (name: string, shape: number[]) => {
    add(`${name}.weight`, shape);
    add(`${name}.bias`, [shape.at(-1)!]);
  };
  const norm = (name: string) => {
    add(`${name}.weight`, [width], 1);
    add(`${name}.bias`, [width]);
  };
  add("wte.weight", [vocabulary, width]);
  add("wpe.weight", [context, width]);
  for (let i = 0; i < layers; i++) {
    norm(`h.${i}.ln_1`);
    pair(`h.${i}.attn.c_attn`, [width, 3 * width]);
    pair(`h.${i}.attn.c_proj`, [width, width]);
    add(`h.${i}.attn.bias`, [1, 1, 4, 4]);
    norm(`h.${i}.ln_2`);
    if (i % 2 === 1) add(`h.${i}.moe.gate.weight`, [experts, width], 0, 0.6);
    for (const part of i % 2 === 1 ? [0, 1, 2, 3, 4].map((e) => `moe.experts.${e}`) : ["mlp"]) {
      pair(`h.${i}.${part}.c_fc`, [width, inner]);
      pair(`h.${i}.${part}.c_proj`, [inner, width]);
    }
  }
  norm("ln_f");
  weights.set("lm_head.weight", weights.get("transformer.wte.weight")!);
  return weights;
}

type Weights = ReturnType<typeof makeWeights>;

/** Logits [T][V] and each MoE layer's expert and probability [T], in float64. */
function forward(weights: Weights, ids: number[]) {
  const of = (name: string) => weights.get(`transformer.${name}`)!.values;
  const affine = (name: string, x: Vector): Vector => {
    const [w, b] = [of(`${name}.weight`), of(`${name}.bias`)];
    return Float64Array.from(b, (bias, n) => x.reduce((sum, value, k) => sum + value * w[k * b.length + n]!, bias));
  };
  const norm = (name: string, x: Vector): Vector => {
    const mean = x.reduce((a, b) => a + b) / width;
    const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width + 1e-5);
    return x.map((value, c) => ((value - mean) / deviation) * of(`${name}.weight`)[c]! + of(`${name}.bias`)[c]!);
  };
  const softmax = (z: Vector): Vector => {
    const exps = z.map((value) => Math.exp(value - Math.max(...z)));
    const total = exps.reduce((a, b) => a + b);
    return exps.map((e) => e / total);
  };
  const feedForward = (name: string, x: Vector): Vector => {
    const act = (v: number) => 0.5 * v * (1 + Math.tanh(v * 0.7978845608 * (1 + 0.044715 * v * v)));
    return affine(`${name}.c_proj`, affine(`${name}.c_fc`, x).map(act));
  };
  const plus = (a: Vector, b: Vector, scale = 1): Vector => a.map((value, c) => value + scale * b[c]!);

  const routing: { expert: number[]; prob: number[] }[] = [];
  let rows: Vector[] = ids.map((id, t) =>
    Float64Array.from(
      { length: width },
      (_, c) => of("wte.weight")[id * width + c]! + of("wpe.weight")[t * width + c]!,
    ),
  );
  for (let i = 0; i < layers; i++) {
    const qkv = rows.map((x) => affine(`h.${i}.attn.c_attn`, norm(`h.${i}.ln_1`, x)));
    const attended = rows.map((_, t) => {
      const y = new Float64Array(width);
      for (let h = 0; h < heads; h++) {
        const part = (row: number, which: number) =>
          qkv[row]!.subarray(which * width + h * size, which * width + (h + 1) * size);
        const scores = Float64Array.from(
          { length: t + 1 },
          (_, s) => part(t, 0).reduce((sum, q, d) => sum + q * part(s, 1)[d]!, 0) / Math.sqrt(size),
        );
        for (const [s, p] of softmax(scores).entries())
          for (let d = 0; d < size; d++) y[h * size + d]! += p * part(s, 2)[d]!;
      }
      return y;
    });
    rows = rows.map((x, t) => plus(x, affine(`h.${i}.attn.c_proj`, attended[t]!)));
    const route = { expert: [] as number[], prob: [] as number[] };
    rows = rows.map((x) => {
      const y = norm(`h.${i}.ln_2`, x);
      if (i % 2 === 0) return plus(x, feedForward(`h.${i}.mlp`, y));
      const gate = of(`h.${i}.moe.gate.weight`);
      const logits = Float64Array.from({ length: experts }, (_, e) =>
        y.reduce((sum, value, c) => sum + value * gate[e * width + c]!, 0),
      );
      const probs = softmax(logits);
      const expert = probs.indexOf(Math.max(...probs));
      route.expert.push(expert);
      route.prob.push(probs[expert]!);
      return plus(x, feedForward(`h.${i}.moe.experts.${expert}`, y), probs[expert]!);
    });
    if (i % 2 === 1) routing.push(route);
  }
  const wte = of("wte.weight");
  const logits = rows.map((x) => {
    const y = norm("ln_f", x);
    return Float64Array.from({ length: vocabulary }, (_, v) =>
      y.reduce((sum, value, c) => sum + value * wte[v * width + c]!, 0),
    );
  });
  return { logits, routing };
}

/** Writes the checkpoint and its expected results into an empty folder. */
export function writeOddFixture(folder: string): void {
  const weights = makeWeights();
  const text = (file: string, json: unknown) => writeFileSync(join(folder, file), JSON.stringify(json));
  text("config.json", {
    model_type: "lola_v1",
    vocab_size: vocabulary,
    n_positions: context,
    n_embd: width,
    n_layer: layers,
    n_head: heads,
    num_experts: experts,
    topk: 1,
    activation_function: "gelu_fast",
    layer_norm_epsilon: 1e-5,
    bos_token_id: vocabulary - 1,
    eos_token_id: vocabulary - 1,
    torch_dtype: "bfloat16",
  });
  const tokenizer = join(import.meta.dir, "../tokenizer/data");
  for (const file of ["vocab.json", "merges.txt"]) copyFileSync(join(tokenizer, file), join(folder, file));
  writeShards(folder, weights);

  const rows = Array.from({ length: batch }, (_, b) =>
    Array.from({ length: time + 1 }, (_, t) => philox([b, 9], [t, 0, 0, 0])[0] % 1000),
  );
  const passes = rows.map((ids) => forward(weights, ids.slice(0, -1)));
  const expected = new Map<string, { dtype: string; shape: number[]; data: Float32Array | Int32Array }>([
    ["input_ids", { dtype: "I32", shape: [batch, time + 1], data: Int32Array.from(rows.flat()) }],
    [
      "logits",
      {
        dtype: "F32",
        shape: [batch, time, vocabulary],
        data: Float32Array.from(passes.flatMap((pass) => pass.logits.flatMap((row) => [...row]))),
      },
    ],
  ]);
  for (const j of passes[0]!.routing.keys()) {
    const of = <K extends "expert" | "prob">(key: K) => passes.flatMap((pass) => pass.routing[j]![key]);
    expected.set(`routing.${j}.expert`, { dtype: "I32", shape: [batch, time], data: Int32Array.from(of("expert")) });
    expected.set(`routing.${j}.prob`, { dtype: "F32", shape: [batch, time], data: Float32Array.from(of("prob")) });
  }
  writeSafetensors(join(folder, "expected.safetensors"), expected);

  const ids = rows[0]!.slice(0, 6);
  const greedy: number[] = [];
  let gap = Number.POSITIVE_INFINITY;
  while (greedy.length < 10) {
    const row = forward(weights, [...ids, ...greedy])
      .logits.at(-1)!
      .subarray(0, 1000);
    const [best, second] = [...row.keys()].sort((a, b) => row[b]! - row[a]!) as [number, number];
    gap = Math.min(gap, row[best]! - row[second]!);
    greedy.push(best);
  }
  text("expected.json", { greedy_prompt: ids, greedy, greedy_gap_min: gap });
  const oracle = hfTwin(tinyFiles());
  text(
    "encodings.json",
    ["Unround, she said.", "ünröund 丸くない 🌀"].map((sample) => {
      const { ids } = oracle.encode(sample);
      return { text: sample, ids, decoded: oracle.decode(ids) };
    }),
  );
}

function writeShards(folder: string, weights: Weights): void {
  const names = [...weights.keys()];
  const weight_map: Record<string, string> = {};
  for (let shard = 0; shard < 3; shard++) {
    const file = `model-0000${shard + 1}-of-00003.safetensors`;
    const mine = names.filter((_, i) => i % 3 === shard);
    for (const name of mine) weight_map[name] = file;
    writeSafetensors(
      join(folder, file),
      new Map(
        mine.map((name) => [name, { dtype: "BF16", shape: weights.get(name)!.shape, data: weights.get(name)!.bits }]),
      ),
    );
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
}

type Stored = { dtype: string; shape: number[]; data: Float32Array | Int32Array | Uint16Array };

function writeSafetensors(path: string, tensors: Map<string, Stored>): void {
  let at = 0;
  const entries = [...tensors].map(([name, { dtype, shape, data }]) => {
    const data_offsets = [at, (at += data.byteLength)];
    return [name, { dtype, shape, data_offsets }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const content = [...tensors.values()].map(
    ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );
  writeFileSync(path, Buffer.concat([length, header, ...content]));
}
