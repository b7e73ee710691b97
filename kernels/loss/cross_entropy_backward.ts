/** Cross-entropy of a block of rows: the loss of each, and the logits turned into their gradient in place. */
import { integers, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import code from "./cross_entropy_backward.wgsl" with { type: "text" };

/** A target that is no token of any vocabulary: its row counts nothing. */
export const ignored = 0xffffffff;

export const crossEntropyBackward = defineKernel({
  name: "loss/cross_entropy_backward",
  summary: "nll[at + t] = log Σ e^logits[t] − logits[t, target], then logits[t] = scale · (softmax − onehot(target))",
  bindings: {
    targets: { access: "in", type: "u32", shape: "[at + T]" },
    logits: { access: "inout", type: "f32", shape: "[T, V]" },
    nll: { access: "inout", type: "f32", shape: "[at + T], nats" },
  },
  /** Rows whose target is no token (≥ vocabulary) count nothing: nll and gradient 0. */
  params: { rows: "u32", vocabulary: "u32", at: "u32", scale: "f32" },
  variants: [
    { name: "row", code, constants: (gpu) => ({ THREADS: gpu.software ? 8 : 256 }), grid: (p) => [p.rows, 1, 1] },
  ],
  cost: (p) => ({ bytes: 12 * p.rows * p.vocabulary, flops: 12 * p.rows * p.vocabulary }),
  reference({ targets, logits, nll }, { rows, vocabulary, at, scale }) {
    for (let t = 0; t < rows; t++) {
      const row = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
      const wanted = targets[at + t]!;
      if (wanted >= vocabulary) {
        row.fill(0);
        nll[at + t] = 0;
        continue;
      }
      const max = row.reduce((a, b) => Math.max(a, b));
      let total = 0;
      for (const z of row) total += Math.exp(z - max);
      nll[at + t] = Math.log(total) + max - row[wanted]!;
      for (let v = 0; v < vocabulary; v++) row[v] = scale * (Math.exp(row[v]! - max) / total - (v === wanted ? 1 : 0));
    }
  },
  cases: () =>
    [
      { rows: 1, vocabulary: 1024, at: 0, scale: 1 },
      { rows: 65, vocabulary: 67, at: 7, scale: 0.25 },
      { rows: 3, vocabulary: 4099, at: 0, scale: 0.01 },
      { rows: 2, vocabulary: 1, at: 1, scale: 1 },
    ].map((params) => ({
      label: `${params.rows} × ${params.vocabulary}, some rows ignored`,
      params,
      tensors: {
        targets: integers(1, [params.at + params.rows], params.vocabulary + 1),
        logits: uniform(2, [params.rows, params.vocabulary], 9),
        nll: uniform(3, [params.at + params.rows]),
      },
    })),
});
