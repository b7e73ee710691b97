/** Gradient of the token embedding: each token's rows are summed by one worker, in order, without atomics. */
import { integers, listed, uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./embed_backward.wgsl" with { type: "text" };

export const embedBackward = defineKernel({
  name: "embed/embed_backward",
  summary: "dwte[v − first] += Σ dx[t] over the rows t with token v, for the tokens of this part of wte",
  bindings: {
    dx: { access: "in", type: "f32", shape: "[T, C]" },
    token: { access: "in", type: "u32", shape: "[T]" },
    sorted: { access: "in", type: "u32", shape: "[T], the rows sorted by (token, row)" },
    dwte: { access: "inout", type: "f32", shape: "[V part, C]" },
  },
  params: { rows: "u32", width: "u32", first: "u32", count: "u32" },
  variants: [{ name: "tokens", code, grid: (p) => [ceilDiv(p.width, 64), p.rows, 1] }],
  cost: (p) => ({ bytes: 12 * p.rows * p.width, flops: p.rows * p.width }),
  reference({ dx, token, sorted, dwte }, { rows, width, first, count }) {
    for (let i = 0; i < rows; i++) {
      const t = sorted[i]!;
      const row = token[t]! - first;
      if (row < 0 || row >= count) continue;
      for (let c = 0; c < width; c++) dwte[row * width + c]! += dx[t * width + c]!;
    }
  },
  cases: () =>
    [
      { rows: 1, width: 32, first: 0, count: 50, tokens: 50 },
      { rows: 65, width: 63, first: 0, count: 101, tokens: 11 },
      { rows: 130, width: 128, first: 40, count: 30, tokens: 101 },
    ].map(({ tokens, ...params }) => {
      const token = integers(1, [params.rows], tokens);
      const rows = Array.from(token.data, (_, t) => t).sort((a, b) => token.data[a]! - token.data[b]! || a - b);
      return {
        label: `${params.rows} × ${params.width}, ${tokens} tokens, part from ${params.first}`,
        params,
        tensors: {
          dx: uniform(2, [params.rows, params.width]),
          token,
          sorted: listed(rows),
          dwte: uniform(3, [params.count, params.width]),
        },
      };
    }),
});
