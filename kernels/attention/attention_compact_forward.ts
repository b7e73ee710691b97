/** Causal attention of new rows over the keys and values of their own sequence in a compact cache (spec §1.2). */
import { listed, uniform } from "../cases.ts";
import { type CaseTensor, defineKernel } from "../kernel.ts";
import { attentionForward } from "./attention_forward.ts";
import { attentionCompactVariants } from "./attention_variants.ts";
import { compactWords, packRow, unpackRow } from "./compact.ts";

export const attentionCompactForward = defineKernel({
  name: "attention/attention_compact_forward",
  summary: "y[t, h] = softmax(scale · q[t, h] · k[seq, h, 0…pos]) · v[seq, h, 0…pos], k and v in fewer bits",
  bindings: {
    qkv: { access: "in", type: "f32", shape: "[T, q‖k‖v]" },
    seq: { access: "in", type: "u32", shape: "[T]" },
    pos: { access: "in", type: "u32", shape: "[T]" },
    k: { access: "in", type: "u32", shape: "[B, H, S, words of D channels]" },
    v: { access: "in", type: "u32", shape: "[B, H, S, words of D channels]" },
    y: { access: "out", type: "f32", shape: "[T, C]" },
  },
  /**
   * context: S; the rows of one sequence stand together, in ascending position, and are in the cache already.
   * bits: of a channel of the cache, 16 or 8.
   */
  params: { rows: "u32", heads: "u32", head_size: "u32", context: "u32", bits: "u32", scale: "f32" },
  variants: attentionCompactVariants,
  // Positions are not known here: as if each row saw half the cache.
  cost: (p) => ({
    bytes: 4 * p.heads * (2 * p.rows * p.head_size + p.context * compactWords(p.bits, p.head_size)),
    flops: 2 * p.rows * p.heads * p.head_size * p.context,
  }),
  reference({ k, v, ...rest }, { bits, ...params }) {
    const { head_size: size } = params;
    attentionForward.reference(
      { ...rest, k: unpacked(k, bits, size), v: unpacked(v, bits, size) },
      { ...params, packed: 0 },
    );
  },
  cases: () =>
    [
      { rows: 1, heads: 4, head_size: 8, context: 64, first: 0, bits: 8 },
      { rows: 1, heads: 3, head_size: 128, context: 131, first: 130, bits: 8 },
      { rows: 1, heads: 2, head_size: 80, context: 140, first: 139, bits: 16 },
      { rows: 65, heads: 2, head_size: 32, context: 80, first: 0, bits: 16 },
      { rows: 30, heads: 1, head_size: 80, context: 63, first: 33, bits: 8 },
      { rows: 7, heads: 4, head_size: 64, context: 300, first: 290, bits: 8 },
      { rows: 3, heads: 2, head_size: 37, context: 70, first: 60, bits: 16 },
      { rows: 9, heads: 2, head_size: 37, context: 70, first: 60, bits: 8 },
    ].map(({ first, ...shape }) => {
      const params = { ...shape, scale: 1 / Math.sqrt(shape.head_size) };
      const width = params.heads * params.head_size;
      const half = Math.ceil(params.rows / 2);
      return {
        label: `${params.rows} rows from ${first}, ${params.heads} heads of ${params.head_size}, ${params.bits} bits`,
        params,
        tensors: {
          qkv: uniform(1, [params.rows, 3 * width], 3),
          // Two sequences: the second half of the rows starts again.
          seq: listed(Array.from({ length: params.rows }, (_, t) => (t < half ? 0 : 1))),
          pos: listed(Array.from({ length: params.rows }, (_, t) => first + (t < half ? t : t - half))),
          k: compactCache(2, [2, params.heads, params.context], params.head_size, params.bits, 3),
          v: compactCache(3, [2, params.heads, params.context], params.head_size, params.bits),
          y: uniform(4, [params.rows, width]),
        },
      };
    }),
});

/** All rows of a cache: f32 [.., D]. */
function unpacked(words: Uint32Array, bits: number, size: number): Float32Array {
  const each = compactWords(bits, size);
  const values = new Float32Array((words.length / each) * size);
  for (let row = 0; row * each < words.length; row++) values.set(unpackRow(words, bits, size, row * each), row * size);
  return values;
}

/** A cache of uniform values in ±scale. */
export function compactCache(seed: number, rows: number[], size: number, bits: number, scale = 1): CaseTensor {
  const each = compactWords(bits, size);
  const values = uniform(seed, [...rows, size], scale).data as Float32Array;
  const data = new Uint32Array((values.length / size) * each);
  for (let row = 0; row * each < data.length; row++)
    packRow(values.subarray(row * size, (row + 1) * size), bits, data, row * each);
  return { shape: [...rows, each], data };
}
