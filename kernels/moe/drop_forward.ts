/** Expert capacity as DeepSpeed 0.11.1 has it (spec §4 step 6): each expert keeps the rows of highest priority. */
import { philox } from "../../src/base/random.ts";
import { blank, integers, listed } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./drop_forward.wgsl" with { type: "text" };

export const dropForward = defineKernel({
  name: "moe/drop_forward",
  summary: "kept[t] = expert[t] if row t is among its expert's first `capacity` rows by priority, else E",
  bindings: {
    expert: { access: "in", type: "u32", shape: "[MoE layers · T]" },
    kept: { access: "inout", type: "u32", shape: "[MoE layers · T]" },
  },
  /**
   * random: 1, the priority of row t is the first word of Philox(seed, [at + t, stream, 0, 0]), the lower row first on ties;
   * 0, rows come in order.
   */
  params: {
    rows: "u32",
    experts: "u32",
    at: "u32",
    capacity: "u32",
    random: "u32",
    seed_low: "u32",
    seed_high: "u32",
    stream: "u32",
  },
  variants: [{ name: "rows", code, grid: (p) => [ceilDiv(p.rows, 64), 1, 1] }],
  cost: (p) => ({ bytes: 8 * p.rows, flops: 0 }),
  reference({ expert, kept }, { rows, experts, at, capacity, random, seed_low, seed_high, stream }) {
    const priority = Array.from({ length: rows }, (_, t) =>
      random ? philox([seed_low, seed_high], [at + t, stream, 0, 0])[0] : 0,
    );
    for (let e = 0; e < experts; e++) {
      const mine = priority.map((_, t) => t).filter((t) => expert[at + t] === e);
      mine.sort((a, b) => priority[b]! - priority[a]! || a - b);
      for (const [rank, t] of mine.entries()) kept[at + t] = rank < capacity ? e : experts;
    }
  },
  cases: () => [
    ...[
      { rows: 1, experts: 16, at: 0, capacity: 4, random: 1, seed_low: 5, seed_high: 0, stream: 1 },
      { rows: 63, experts: 5, at: 11, capacity: 9, random: 0, seed_low: 5, seed_high: 0, stream: 0 },
      { rows: 513, experts: 16, at: 0, capacity: 33, random: 1, seed_low: 7, seed_high: 9, stream: 3 },
      { rows: 600, experts: 131, at: 5, capacity: 4, random: 1, seed_low: 7, seed_high: 9, stream: 2 },
    ].map((params) => ({
      label: `${params.rows} rows, ${params.experts} experts of ${params.capacity}${params.random ? ", random" : ""}`,
      params,
      tensors: {
        expert: integers(1, [params.at + params.rows], params.experts),
        kept: blank([params.at + params.rows]),
      },
    })),
    {
      label: "all rows to one expert",
      params: { rows: 300, experts: 4, at: 0, capacity: 75, random: 1, seed_low: 1, seed_high: 2, stream: 0 },
      tensors: { expert: listed(Array(300).fill(3)), kept: blank([300]) },
    },
  ],
});
