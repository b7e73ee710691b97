/** Puts the keys and values of new rows into the cache, where attention finds them. */
import { listed, uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./append_forward.wgsl" with { type: "text" };

export const appendForward = defineKernel({
  name: "attention/append_forward",
  summary: "k[seq, h, pos] = key of qkv[t], v[seq, h, pos] = value of qkv[t]",
  bindings: {
    qkv: { access: "in", type: "f32", shape: "[T, q‖k‖v]" },
    seq: { access: "in", type: "u32", shape: "[T]" },
    pos: { access: "in", type: "u32", shape: "[T]" },
    k: { access: "inout", type: "f32", shape: "[B, H, S, D]" },
    v: { access: "inout", type: "f32", shape: "[B, H, S, D]" },
  },
  /** context: S, the positions that the cache holds of each sequence. */
  params: { rows: "u32", heads: "u32", head_size: "u32", context: "u32" },
  variants: [{ name: "elements", code, grid: (p) => [ceilDiv(p.heads * p.head_size, 64), p.rows, 1] }],
  cost: (p) => ({ bytes: 16 * p.rows * p.heads * p.head_size, flops: 0 }),
  reference({ qkv, seq, pos, k, v }, { rows, heads, head_size: size, context }) {
    const width = heads * size;
    for (let t = 0; t < rows; t++)
      for (let h = 0; h < heads; h++)
        for (let d = 0; d < size; d++) {
          const to = ((seq[t]! * heads + h) * context + pos[t]!) * size + d;
          k[to] = qkv[t * 3 * width + width + h * size + d]!;
          v[to] = qkv[t * 3 * width + 2 * width + h * size + d]!;
        }
  },
  cases: () =>
    [
      { rows: 1, heads: 3, head_size: 8, context: 17 },
      { rows: 9, heads: 4, head_size: 20, context: 12 },
    ].map((params) => {
      const width = params.heads * params.head_size;
      const cache = [2, params.heads, params.context, params.head_size];
      return {
        label: `${params.rows} rows, ${params.heads} heads of ${params.head_size}`,
        params,
        tensors: {
          qkv: uniform(1, [params.rows, 3 * width]),
          seq: listed(Array.from({ length: params.rows }, (_, t) => (t < 5 ? 0 : 1))),
          pos: listed(Array.from({ length: params.rows }, (_, t) => (t < 5 ? 3 + t : t - 5))),
          k: uniform(2, cache),
          v: uniform(3, cache),
        },
      };
    }),
});
