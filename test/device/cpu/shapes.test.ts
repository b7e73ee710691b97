/** Shapes that cross the CPU engine's own block sizes, which the kernels' common cases are too small for. */
import { expect, test } from "bun:test";
import { attentionForward } from "../../../kernels/attention/attention_forward.ts";
import { grouped, integers, listed, uniform } from "../../../kernels/cases.ts";
import { logitsForward } from "../../../kernels/embed/logits_forward.ts";
import type { Case, Kernel } from "../../../kernels/kernel.ts";
import { matmulForward } from "../../../kernels/matmul/matmul_forward.ts";
import { downForward } from "../../../kernels/moe/down_forward.ts";
import { sampleForward } from "../../../kernels/sample/sample_forward.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../../src/device/cpu/library.ts";
import { check, weightTypes } from "../../kernels/compare.ts";

async function agrees(kernel: Kernel, example: Case): Promise<void> {
  for (const isa of usableSets(library()).keys()) {
    const device = openCpu({ isa, threads: 2 });
    for (const type of weightTypes(kernel)) expect(await check(device, kernel, example, type)).toEqual([]);
    device.close();
  }
}

test("matmul: several blocks of rows, of inner length and of columns", async () => {
  const params = { rows: 301, inner: 600, cols: 147, gelu: 0, add: 1 };
  await agrees(matmulForward, {
    label: "301 × 600 × 147",
    params,
    tensors: {
      x: uniform(1, [params.rows, params.inner]),
      w: uniform(2, [params.inner, params.cols]),
      b: uniform(3, [params.cols]),
      y: uniform(4, [params.rows, params.cols]),
    },
  });
});

test("grouped matmul: an expert with several blocks of rows, others with one to twenty", async () => {
  const counts = [1, 0, 2, 300, 13, 14, 15, 20];
  const routed = counts.flatMap((n, e) => Array<number>(n).fill(e));
  // Rows of one expert do not stand together.
  const shuffled = routed.map((_, i) => routed[(i * 7) % routed.length]!);
  const params = { rows: routed.length, inner: 300, cols: 40, first: 0, count: counts.length, at: 0 };
  const { order, start } = grouped(shuffled, counts.length);
  await agrees(downForward, {
    label: "uneven experts",
    params,
    tensors: {
      h: uniform(1, [params.rows, params.inner]),
      order,
      start,
      prob: uniform(2, [params.rows]),
      w: uniform(3, [params.count, params.inner, params.cols]),
      b: uniform(4, [params.count, params.cols]),
      y: uniform(5, [params.rows, params.cols]),
    },
  });
});

function attentionCase(rows: number, heads: number, size: number, context: number, first: number): Case {
  const cache = [1, heads, context, size];
  return {
    label: `${rows} rows from ${first}`,
    params: { rows, heads, head_size: size, context, scale: 1 / Math.sqrt(size) },
    tensors: {
      qkv: uniform(1, [rows, 3 * heads * size], 4),
      seq: listed(Array<number>(rows).fill(0)),
      pos: listed(Array.from({ length: rows }, (_, t) => first + t)),
      k: uniform(2, cache, 4),
      v: uniform(3, cache),
      y: uniform(4, [rows, heads * size]),
    },
  };
}

test("attention: blocks of rows over many keys", () => agrees(attentionForward, attentionCase(150, 2, 24, 420, 260)));

test("attention: one row over keys that are split", () => agrees(attentionForward, attentionCase(1, 3, 40, 900, 899)));

test("logits: many rows over a long, odd table", async () => {
  const params = { rows: 70, width: 300, vocabulary: 523, first: 3, count: 517 };
  await agrees(logitsForward, {
    label: "70 × 300 → 517",
    params,
    tensors: {
      x: uniform(1, [params.rows, params.width]),
      wte: uniform(2, [params.count, params.width]),
      y: uniform(3, [params.rows, params.vocabulary]),
    },
  });
});

test("sampling: filters together, over many seeds", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const params = {
      ...{ rows: 3, vocabulary: 700, allowed: 690, stream: seed, seed_low: seed * 77, seed_high: seed },
      ...{ temperature: 0.3 + seed / 20, top_k: seed * 9, top_p: 1 - seed / 60, min_p: seed / 400, penalty: 1.2 },
    };
    await agrees(sampleForward, {
      label: `seed ${seed}`,
      params,
      tensors: {
        logits: uniform(seed, [3, 700], 5),
        seen: integers(seed, [3, 700], 2),
        token: listed([0, 0, 0]),
        pos: listed([seed, 0, 5]),
        logprob: uniform(1, [3]),
      },
    });
  }
});
