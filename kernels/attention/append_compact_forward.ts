/** Puts the keys and values of new rows into a cache of 16 or 8 bits a channel. */
import { integers, listed, uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./append_compact_forward.wgsl" with { type: "text" };
import { compactGroup, compactWords, packRow } from "./compact.ts";

export const appendCompactForward = defineKernel({
  name: "attention/append_compact_forward",
  summary: "k[seq, h, pos] = key of qkv[t], v[seq, h, pos] = value of qkv[t], in fewer bits",
  bindings: {
    qkv: { access: "in", type: "f32", shape: "[T, q‖k‖v]" },
    seq: { access: "in", type: "u32", shape: "[T]" },
    pos: { access: "in", type: "u32", shape: "[T]" },
    k: { access: "inout", type: "u32", shape: "[B, H, S, words of D channels]" },
    v: { access: "inout", type: "u32", shape: "[B, H, S, words of D channels]" },
  },
  /** context: S, the positions that the cache holds of each sequence. bits: of a channel, 16 or 8. */
  params: { rows: "u32", heads: "u32", head_size: "u32", context: "u32", bits: "u32" },
  variants: [
    {
      name: "parts",
      code,
      grid: (p) => [ceilDiv(p.heads * ceilDiv(p.head_size, p.bits === 16 ? 4 : compactGroup), 64), p.rows, 1],
    },
  ],
  cost: (p) => ({
    bytes: 8 * p.rows * p.heads * (p.head_size + compactWords(p.bits, p.head_size)),
    flops: 0,
  }),
  reference({ qkv, seq, pos, k, v }, { rows, heads, head_size: size, context, bits }) {
    const width = heads * size;
    for (let t = 0; t < rows; t++)
      for (let h = 0; h < heads; h++) {
        const to = ((seq[t]! * heads + h) * context + pos[t]!) * compactWords(bits, size);
        const key = t * 3 * width + width + h * size;
        packRow(qkv.subarray(key, key + size), bits, k, to);
        packRow(qkv.subarray(key + width, key + width + size), bits, v, to);
      }
  },
  cases: () =>
    [
      { rows: 1, heads: 3, head_size: 8, context: 17 },
      { rows: 9, heads: 4, head_size: 20, context: 12 },
      { rows: 3, heads: 2, head_size: 128, context: 7 },
      { rows: 4, heads: 3, head_size: 77, context: 9 },
    ].flatMap((shape) =>
      [16, 8].map((bits) => {
        const params = { ...shape, bits };
        const width = params.heads * params.head_size;
        const cache = [2, params.heads, params.context, compactWords(bits, params.head_size)];
        const qkv = uniform(1, [params.rows, 3 * width], 4);
        // Some beyond the range of f16, of both signs.
        for (let i = 0; i < qkv.data.length; i += 13) qkv.data[i]! *= 1e6;
        return {
          label: `${params.rows} rows, ${params.heads} heads of ${params.head_size}, ${bits} bits`,
          params,
          tensors: {
            qkv,
            seq: listed(Array.from({ length: params.rows }, (_, t) => (t < 5 ? 0 : 1))),
            pos: listed(Array.from({ length: params.rows }, (_, t) => (t < 5 ? 3 + t : t - 5))),
            k: integers(2, cache, 2 ** 32),
            v: integers(3, cache, 2 ** 32),
          },
        };
      }),
    ),
});
