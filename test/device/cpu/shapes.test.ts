/** Shapes that cross the CPU engine's own block sizes, which the kernels' common cases are too small for. */
import { expect, test } from "bun:test";
import { dropoutForward } from "../../../kernels/activation/dropout_forward.ts";
import { attentionCompactForward, compactCache } from "../../../kernels/attention/attention_compact_forward.ts";
import { attentionForward } from "../../../kernels/attention/attention_forward.ts";
import { keyBackward } from "../../../kernels/attention/key_backward.ts";
import { queryBackward } from "../../../kernels/attention/query_backward.ts";
import { attended } from "../../../kernels/attention/training.ts";
import { grouped, integers, listed, uniform, zeros } from "../../../kernels/cases.ts";
import { logitsBackward } from "../../../kernels/embed/logits_backward.ts";
import { logitsForward } from "../../../kernels/embed/logits_forward.ts";
import type { Case, Kernel } from "../../../kernels/kernel.ts";
import { crossEntropyBackward } from "../../../kernels/loss/cross_entropy_backward.ts";
import { inputBackward } from "../../../kernels/matmul/input_backward.ts";
import { matmulForward } from "../../../kernels/matmul/matmul_forward.ts";
import { tableBackward } from "../../../kernels/matmul/table_backward.ts";
import { weightBackward } from "../../../kernels/matmul/weight_backward.ts";
import { downForward } from "../../../kernels/moe/down_forward.ts";
import { weightBackward as expertWeightBackward } from "../../../kernels/moe/weight_backward.ts";
import { sampleForward } from "../../../kernels/sample/sample_forward.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../../src/device/cpu/library.ts";
import { check, weightTypes } from "../../kernels/compare.ts";
import { boundOf } from "./bounds.ts";

async function agrees(kernel: Kernel, example: Case): Promise<void> {
  for (const isa of usableSets(library()).keys()) {
    const device = openCpu({ isa, threads: 2 });
    for (const type of weightTypes(kernel))
      expect(await check(device, kernel, example, type, boundOf(isa, kernel, type))).toEqual([]);
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

/** Above 2²⁰ elements of rows, tiles pack their own. */
test.each([
  ["several blocks of rows, of inner length and of columns", 330, 300, 290],
  ["many rows", 4100, 40, 290],
])("matmul backward: %s", async (_, rows, inner, cols) => {
  const params = { rows, inner, cols, gelu: 1, add: 1 };
  const x = uniform(1, [rows, inner]);
  const dy = uniform(2, [rows, cols]);
  const matrix = uniform(3, [inner, cols]);
  const label = `${rows} × ${inner} × ${cols}`;
  await agrees(inputBackward, { label, params, tensors: { dy, w: matrix, u: x, dx: x } });
  await agrees(weightBackward, { label, params, tensors: { x, dy, dw: matrix, db: uniform(4, [cols]) } });
});

test("experts' weights: one with several blocks of rows, others with none to a hundred", async () => {
  const counts = [1, 0, 2, 3400, 13, 100, 0];
  const { start } = grouped(
    counts.flatMap((n, e) => Array<number>(n).fill(e)),
    counts.length,
  );
  const params = { rows: start.data.at(-1)!, inner: 300, cols: 40, first: 1, count: 6, add: 0 };
  await agrees(expertWeightBackward, {
    label: "uneven experts",
    params,
    tensors: {
      x: uniform(1, [params.rows, params.inner]),
      dy: uniform(2, [params.rows, params.cols]),
      start,
      dw: uniform(3, [params.count, params.inner, params.cols]),
      db: uniform(4, [counts.length, params.cols]),
    },
  });
});

test("logits backward: a long, odd table", async () => {
  const params = { rows: 70, width: 300, vocabulary: 523, cols: 523, first: 3, count: 517, at: 2, add: 1 };
  const dy = uniform(1, [params.rows, params.vocabulary]);
  const hidden = uniform(2, [params.at + params.rows, params.width]);
  const table = uniform(3, [params.count, params.width]);
  const label = "70 × 517 → 300";
  await agrees(logitsBackward, { label, params, tensors: { dy, wte: table, dx: hidden } });
  await agrees(tableBackward, { label, params, tensors: { dy, x: hidden, dw: table } });
});

function attentionCase(rows: number, heads: number, size: number, context: number, first: number): Case {
  const cache = [1, heads, context, size];
  return {
    label: `${rows} rows from ${first}`,
    params: { rows, heads, head_size: size, context, packed: 0, scale: 1 / Math.sqrt(size) },
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

/** The same over a compact cache. */
function compactCase(bits: number, ...[rows, heads, size, context, first]: Parameters<typeof attentionCase>): Case {
  const { label, params, tensors } = attentionCase(rows, heads, size, context, first);
  const { packed, ...rest } = params;
  const k = compactCache(2, [1, heads, context], size, bits, 4);
  const v = compactCache(3, [1, heads, context], size, bits);
  return { label: `${label}, ${bits} bits`, params: { ...rest, bits }, tensors: { ...tensors, k, v } };
}

test.each([16, 8])("attention over a cache of %d bits: blocks of rows, keys that are split", async (bits) => {
  await agrees(attentionCompactForward, compactCase(bits, 150, 2, 24, 420, 260));
  await agrees(attentionCompactForward, compactCase(bits, 1, 3, 40, 900, 899));
});

test("attention: sequences of several blocks over themselves", async () => {
  const [rows, heads, size, context] = [300, 6, 8, 150];
  const qkv = uniform(1, [rows, 3 * heads * size], 4);
  await agrees(attentionForward, {
    label: "2 × 150",
    params: { rows, heads, head_size: size, context, packed: 1, scale: 1 / Math.sqrt(size) },
    tensors: {
      qkv,
      seq: listed(Array.from({ length: rows }, (_, t) => Math.floor(t / context))),
      pos: listed(Array.from({ length: rows }, (_, t) => t % context)),
      k: { ...qkv },
      v: { ...qkv },
      y: uniform(4, [rows, heads * size]),
    },
  });
});

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

test("attention backward: sequences of several blocks, heads that fill no panel", async () => {
  const params = { rows: 400, heads: 3, head_size: 24, time: 200, scale: 0.2 };
  const { rows, heads, head_size: size } = params;
  const width = heads * size;
  const qkv = uniform(1, [rows, 3 * width], 2);
  const [y, dy] = [uniform(2, [rows, width]), uniform(3, [rows, width])];
  const stats = zeros([rows, heads, 2]);
  for (let t = 0; t < rows; t++)
    for (let h = 0; h < heads; h++) {
      const at = t * width + h * size;
      let delta = 0;
      for (let d = 0; d < size; d++) delta += dy.data[at + d]! * y.data[at + d]!;
      stats.data[2 * (t * heads + h)] = attended(qkv.data, params, t, h).log;
      stats.data[2 * (t * heads + h) + 1] = delta;
    }
  const dqkv = uniform(4, [rows, 3 * width]);
  const label = "2 × 200, 3 heads of 24";
  await agrees(queryBackward, { label, params, tensors: { qkv, y, dy, dqkv, stats: zeros([rows, heads, 2]) } });
  await agrees(keyBackward, { label, params, tensors: { qkv, dy, stats, dqkv } });
});

test("cross-entropy: a block of logits that are all −∞, and one far above the others", async () => {
  const params = { rows: 3, vocabulary: 6000, at: 0, scale: 0.5 };
  const logits = uniform(1, [3, 6000], 5);
  logits.data.fill(-Infinity, 0, 2500);
  logits.data[6000 + 5000] = 60;
  logits.data[12000] = 60;
  const tensors = { targets: listed([5999, 5000, 17]), logits, nll: zeros([3]) };
  await agrees(crossEntropyBackward, { label: "3 × 6000", params, tensors });
});

test("dropout: several tiles draw from one sequence of numbers", async () => {
  const params = { count: 40_003, add: 1, seed_low: 1, seed_high: 2, stream: 3, site: 4, rate: 0.3, scale: 2 };
  await agrees(dropoutForward, {
    label: "40003",
    params,
    tensors: { x: uniform(1, [params.count]), y: uniform(2, [params.count]) },
  });
});
