/**
 * Draws the next token on the device: repetition penalty, temperature, top-k, top-p, min-p, in the order of Hugging
 * Face's logits warpers, then an inverse-CDF draw in token order by a Philox number.
 */
import { philox, unit } from "../../src/base/random.ts";
import { blank, integers, listed, uniform, zeros } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./sample_forward.wgsl" with { type: "text" };

export const sampleForward = defineKernel({
  name: "sample/sample_forward",
  summary: "token[b] drawn from logits[b]; pos[b] += 1; seen[b, token] = 1; logprob[b] of the unfiltered distribution",
  bindings: {
    logits: { access: "in", type: "f32", shape: "[B, V]" },
    seen: { access: "inout", type: "u32", shape: "[B, V]" },
    token: { access: "out", type: "u32", shape: "[B]" },
    pos: { access: "inout", type: "u32", shape: "[B]" },
    logprob: { access: "out", type: "f32", shape: "[B]" },
  },
  /**
   * allowed: ids below this may be drawn; temperature 0: the best, lowest id on ties; top_k 0, top_p 1, min_p 0,
   * penalty 1: off. The draw of row b is word 0 of Philox(seed, [pos[b] before the increment, stream + b, 0, 0]).
   */
  params: {
    rows: "u32",
    vocabulary: "u32",
    allowed: "u32",
    top_k: "u32",
    temperature: "f32",
    top_p: "f32",
    min_p: "f32",
    penalty: "f32",
    seed_low: "u32",
    seed_high: "u32",
    stream: "u32",
  },
  variants: [
    {
      name: "workgroup",
      code,
      // Loops of 32 turns and fewer are unrolled, which takes seconds to compile.
      constants: (gpu) => ({ THREADS: gpu.software ? 64 : 128 }),
      grid: (p) => [p.rows, 1, 1],
    },
  ],
  cost: (p) => ({ bytes: 8 * p.rows * p.vocabulary, flops: 4 * p.rows * p.vocabulary }),
  reference({ logits, seen, token, pos, logprob }, p) {
    for (let b = 0; b < p.rows; b++) {
      const raw = logits.subarray(b * p.vocabulary, (b + 1) * p.vocabulary);
      const penalised = Array.from(raw.subarray(0, p.allowed), (z, v) =>
        seen[b * p.vocabulary + v] ? (z > 0 ? z / p.penalty : z * p.penalty) : z,
      );
      const best = penalised.reduce((a, z) => Math.max(a, z), Number.NEGATIVE_INFINITY);
      let choice = penalised.indexOf(best);
      if (p.temperature > 0) {
        const scores = penalised.map((z) => (z - best) / p.temperature);
        const kept = keep(scores, p.top_k, p.top_p, p.min_p);
        const weights = scores.map((s) => (s >= kept ? Math.exp(s) : 0));
        const draw = philox([p.seed_low, p.seed_high], [pos[b]!, p.stream + b, 0, 0])[0];
        let rest = unit(draw) * weights.reduce((a, w) => a + w);
        for (const [v, weight] of weights.entries()) {
          if (weight === 0) continue;
          choice = v;
          rest -= weight;
          if (rest < 0) break;
        }
      }
      const max = raw.reduce((a, z) => Math.max(a, z));
      logprob[b] = raw[choice]! - max - Math.log(raw.reduce((total, z) => total + Math.exp(z - max), 0));
      token[b] = choice;
      pos[b]! += 1;
      seen[b * p.vocabulary + choice] = 1;
    }
  },
  cases: () => {
    const off = { top_k: 0, temperature: 1, top_p: 1, min_p: 0, penalty: 1, seed_low: 7, seed_high: 9, stream: 0 };
    return [
      { rows: 1, vocabulary: 1024, allowed: 1000, ...off, temperature: 0 },
      { rows: 2, vocabulary: 131, allowed: 131, ...off, temperature: 0, penalty: 1.3 },
      { rows: 3, vocabulary: 300, allowed: 257, ...off },
      { rows: 2, vocabulary: 2176, allowed: 2048, ...off, temperature: 0.7, top_k: 50, top_p: 0.9, penalty: 1.15 },
      { rows: 4, vocabulary: 65, allowed: 63, ...off, top_k: 1, stream: 5 },
      { rows: 2, vocabulary: 5000, allowed: 4999, ...off, temperature: 1.5, top_p: 0.5 },
      { rows: 2, vocabulary: 500, allowed: 499, ...off, min_p: 0.2 },
    ].map((params) => ({
      label: `${params.rows} × ${params.vocabulary}: T ${params.temperature}, k ${params.top_k}, p ${params.top_p}, min ${params.min_p}`,
      params,
      tensors: {
        logits: uniform(1, [params.rows, params.vocabulary], 6),
        seen: integers(2, [params.rows, params.vocabulary], 2),
        token: blank([params.rows]),
        pos: listed(Array.from({ length: params.rows }, (_, b) => 11 + b)),
        logprob: zeros([params.rows]),
      },
    }));
  },
});

/** The lowest score that top-k, then top-p over what top-k left, then min-p keep; scores are relative to the best (0). */
function keep(scores: number[], topK: number, topP: number, minP: number): number {
  const sorted = [...scores].sort((a, b) => b - a);
  let kept = topK > 0 && topK < sorted.length ? sorted[topK - 1]! : sorted.at(-1)!;
  if (topP < 1) {
    const candidates = sorted.filter((s) => s >= kept);
    const total = candidates.reduce((sum, s) => sum + Math.exp(s), 0);
    let sum = 0;
    kept = candidates.find((s) => (sum += Math.exp(s)) >= topP * total) ?? kept;
  }
  return minP > 0 ? Math.max(kept, Math.log(minP)) : kept;
}
