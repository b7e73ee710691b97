/** Causal attention of new rows over the keys and values of their own sequence, cached or beside the queries (spec §1.2). */
import { listed, uniform } from "../cases.ts";
import { defineKernel } from "../kernel.ts";
import { attentionVariants } from "./attention_variants.ts";

export const attentionForward = defineKernel({
  name: "attention/attention_forward",
  summary: "y[t, h] = softmax(scale · q[t, h] · k[seq, h, 0…pos]) · v[seq, h, 0…pos]",
  bindings: {
    qkv: { access: "in", type: "f32", shape: "[T, q‖k‖v]" },
    seq: { access: "in", type: "u32", shape: "[T]" },
    pos: { access: "in", type: "u32", shape: "[T]" },
    k: { access: "in", type: "f32", shape: "[B, H, S, D], or [B, S, q‖k‖v]" },
    v: { access: "in", type: "f32", shape: "[B, H, S, D], or [B, S, q‖k‖v]" },
    y: { access: "out", type: "f32", shape: "[T, C]" },
  },
  /**
   * context: S; the rows of one sequence stand together, in ascending position, and are in the cache already.
   * packed: 0, k and v are a cache; 1, both are rows of queries, keys and values, S for each sequence.
   */
  params: { rows: "u32", heads: "u32", head_size: "u32", context: "u32", packed: "u32", scale: "f32" },
  variants: attentionVariants,
  // Positions are not known here: as if each row saw half the cache.
  cost: (p) => ({
    bytes: 4 * p.heads * p.head_size * (2 * p.rows + p.context),
    flops: 2 * p.rows * p.heads * p.head_size * p.context,
  }),
  reference({ qkv, seq, pos, k, v, y }, { rows, heads, head_size: size, context, packed, scale }) {
    const width = heads * size;
    const step = packed ? 3 * width : size;
    for (let t = 0; t < rows; t++)
      for (let h = 0; h < heads; h++) {
        const sequence = seq[t]! * context * width;
        const keys = packed ? 3 * sequence + width + h * size : sequence + h * context * size;
        const values = packed ? keys + width : keys;
        const scores = Array.from({ length: pos[t]! + 1 }, (_, s) => {
          let dot = 0;
          for (let d = 0; d < size; d++) dot += qkv[t * 3 * width + h * size + d]! * k[keys + s * step + d]!;
          return dot * scale;
        });
        const max = scores.reduce((a, b) => Math.max(a, b));
        const weights = scores.map((s) => Math.exp(s - max));
        const total = weights.reduce((a, b) => a + b);
        for (let d = 0; d < size; d++) {
          let sum = 0;
          for (const [s, weight] of weights.entries()) sum += weight * v[values + s * step + d]!;
          y[t * width + h * size + d] = sum / total;
        }
      }
  },
  cases: () =>
    [
      { rows: 1, heads: 4, head_size: 8, context: 64, packed: 0, first: 0 },
      { rows: 1, heads: 3, head_size: 128, context: 131, packed: 0, first: 130 },
      { rows: 65, heads: 2, head_size: 32, context: 80, packed: 0, first: 0 },
      { rows: 30, heads: 1, head_size: 80, context: 63, packed: 0, first: 33 },
      { rows: 7, heads: 4, head_size: 64, context: 300, packed: 0, first: 290 },
      { rows: 66, heads: 3, head_size: 16, context: 33, packed: 1, first: 0 },
      { rows: 4, heads: 2, head_size: 12, context: 2, packed: 1, first: 0 },
    ].map(({ first, ...shape }) => {
      const params = { ...shape, scale: 1 / Math.sqrt(shape.head_size) };
      const width = params.heads * params.head_size;
      const cache = params.packed
        ? [2, params.context, 3 * width]
        : [2, params.heads, params.context, params.head_size];
      const half = Math.ceil(params.rows / 2);
      return {
        label: `${params.rows} rows from ${first}, ${params.heads} heads of ${params.head_size}${params.packed ? ", packed" : ""}`,
        params,
        tensors: {
          qkv: uniform(1, [params.rows, 3 * width], 3),
          // Two sequences: the second half of the rows starts again.
          seq: listed(Array.from({ length: params.rows }, (_, t) => (t < half ? 0 : 1))),
          pos: listed(Array.from({ length: params.rows }, (_, t) => first + (t < half ? t : t - half))),
          k: uniform(2, cache, 3),
          v: uniform(3, cache),
          y: uniform(4, [params.rows, width]),
        },
      };
    }),
});
