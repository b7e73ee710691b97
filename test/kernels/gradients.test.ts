/**
 * Finite differences: the references of all backward kernels against the references of their forward kernels, in float64.
 * The engines' kernels are held to the references elsewhere, so this is where the formulas are proven.
 */
import { expect, test } from "bun:test";
import { attentionForward } from "../../kernels/attention/attention_forward.ts";
import { keyBackward } from "../../kernels/attention/key_backward.ts";
import { queryBackward } from "../../kernels/attention/query_backward.ts";
import { embedBackward } from "../../kernels/embed/embed_backward.ts";
import { embedForward } from "../../kernels/embed/embed_forward.ts";
import { logitsBackward } from "../../kernels/embed/logits_backward.ts";
import { logitsForward } from "../../kernels/embed/logits_forward.ts";
import { positionBackward } from "../../kernels/embed/position_backward.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import { crossEntropyBackward } from "../../kernels/loss/cross_entropy_backward.ts";
import { inputBackward } from "../../kernels/matmul/input_backward.ts";
import { matmulForward } from "../../kernels/matmul/matmul_forward.ts";
import { tableBackward } from "../../kernels/matmul/table_backward.ts";
import { weightBackward } from "../../kernels/matmul/weight_backward.ts";
import { activationBackward } from "../../kernels/moe/activation_backward.ts";
import { balanceForward } from "../../kernels/moe/balance_forward.ts";
import { downForward } from "../../kernels/moe/down_forward.ts";
import { gateForward } from "../../kernels/moe/gate_forward.ts";
import { gatherForward } from "../../kernels/moe/gather_forward.ts";
import { inputBackward as expertInputBackward } from "../../kernels/moe/input_backward.ts";
import { routeBackward } from "../../kernels/moe/route_backward.ts";
import { upForward } from "../../kernels/moe/up_forward.ts";
import { weightBackward as expertWeightBackward } from "../../kernels/moe/weight_backward.ts";
import { normBackward } from "../../kernels/norm/norm_backward.ts";
import { normForward } from "../../kernels/norm/norm_forward.ts";
import { weightBackward as normWeightBackward } from "../../kernels/norm/weight_backward.ts";
import { philox, unit } from "../../src/base/random.ts";

let stream = 0;

/** Random numbers in ±scale. */
function floats(count: number, scale = 1): Float64Array {
  const seed = ++stream;
  return Float64Array.from({ length: count }, (_, i) => (2 * unit(philox([seed, 0], [i, 0, 0, 0])[0]) - 1) * scale);
}

const zeros = (count: number) => new Float64Array(count);
const words = (...values: number[]) => Uint32Array.from(values);

/** Runs a reference in float64: its loops only index, so they do not mind. */
function run(
  kernel: Kernel,
  bindings: Record<string, Float64Array | Uint32Array>,
  params: Record<string, number>,
): void {
  kernel.reference(bindings as never, params);
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** `gradient` must be the slope of `loss` in every element of `at`. */
function agree(loss: () => number, at: Float64Array, gradient: Float64Array): void {
  const step = 1e-5;
  const largest = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 1e-3);
  expect(gradient.length).toBe(at.length);
  for (let i = 0; i < at.length; i++) {
    const value = at[i]!;
    at[i] = value + step;
    const above = loss();
    at[i] = value - step;
    const below = loss();
    at[i] = value;
    const slope = (above - below) / (2 * step);
    if (!(Math.abs(slope - gradient[i]!) <= 1e-6 * largest)) expect(`[${i}] ${gradient[i]}`).toBe(`[${i}] ${slope}`);
  }
}

test("matmul: input through GELU, matrix, bias", () => {
  const [rows, inner, cols] = [5, 7, 6];
  const [u, w, b, dy] = [floats(rows * inner, 2), floats(inner * cols), floats(cols), floats(rows * cols)];
  const [x, y] = [zeros(rows * inner), zeros(rows * cols)];
  const identity = zeros(inner * inner).map((_, i) => (i % (inner + 1) === 0 ? 1 : 0));
  const loss = () => {
    const through = { rows, inner, cols: inner, gelu: 1, add: 0 };
    run(matmulForward, { x: u, w: identity, b: zeros(inner), y: x }, through);
    run(matmulForward, { x, w, b, y }, { rows, inner, cols, gelu: 0, add: 0 });
    return dot(y, dy);
  };
  loss();
  const [du, dw, db] = [zeros(rows * inner), zeros(inner * cols), zeros(cols)];
  run(inputBackward, { dy, w, u, dx: du }, { rows, inner, cols, gelu: 1, add: 0 });
  run(weightBackward, { x, dy, dw, db }, { rows, inner, cols, add: 0 });
  agree(loss, u, du);
  agree(loss, w, dw);
  agree(loss, b, db);
});

test("logits: hidden states and table, in two parts", () => {
  const [rows, width, vocabulary] = [4, 5, 9];
  const [x, wte, dy] = [floats(rows * width), floats(vocabulary * width), floats(rows * vocabulary)];
  const y = zeros(rows * vocabulary);
  const parts = [
    { first: 0, count: 4 },
    { first: 4, count: 5 },
  ];
  const part = (of: Float64Array, { first, count }: { first: number; count: number }) =>
    of.subarray(first * width, (first + count) * width);
  const loss = () => {
    for (const p of parts) run(logitsForward, { x, wte: part(wte, p), y }, { rows, width, vocabulary, ...p });
    return dot(y, dy);
  };
  const [dx, dw] = [zeros(x.length), zeros(wte.length)];
  for (const [i, p] of parts.entries()) {
    run(logitsBackward, { dy, wte: part(wte, p), dx }, { rows, width, vocabulary, at: 0, add: i, ...p });
    run(tableBackward, { dy, x, dw: part(dw, p) }, { rows, width, cols: vocabulary, at: 0, add: 0, ...p });
  }
  agree(loss, x, dx);
  agree(loss, wte, dw);
});

test("cross-entropy: logits, one row ignored", () => {
  const [rows, vocabulary, scale] = [4, 7, 0.3];
  const [logits, targets, nll] = [floats(rows * vocabulary, 3), words(2, 7, 0, 6), zeros(rows)];
  const params = { rows, vocabulary, at: 0, scale };
  const loss = () => {
    run(crossEntropyBackward, { targets, logits: logits.slice(), nll }, params);
    return nll.reduce((a, b) => a + b, 0) * scale;
  };
  const gradient = logits.slice();
  run(crossEntropyBackward, { targets, logits: gradient, nll }, params);
  expect(nll[1]).toBe(0);
  agree(loss, logits, gradient);
});

test("norm: input, weight, bias", () => {
  const [rows, width, eps] = [3, 6, 1e-3];
  const [x, weight, bias, dy] = [floats(rows * width, 2), floats(width), floats(width), floats(rows * width)];
  const y = zeros(x.length);
  const loss = () => {
    run(normForward, { x, weight, bias, y }, { rows, width, skip: 0, eps });
    return dot(y, dy);
  };
  const [dx, stats, dweight, dbias] = [zeros(x.length), zeros(2 * rows), zeros(width), zeros(width)];
  run(normBackward, { x, weight, dy, dx, stats }, { rows, width, add: 0, eps });
  run(normWeightBackward, { x, dy, stats, dweight, dbias }, { rows, width, add: 0 });
  agree(loss, x, dx);
  agree(loss, weight, dweight);
  agree(loss, bias, dbias);
});

test("attention: queries, keys, values of two sequences", () => {
  const [time, heads, size] = [5, 2, 3];
  const rows = 2 * time;
  const width = heads * size;
  const [qkv, dy] = [floats(rows * 3 * width, 2), floats(rows * width)];
  const y = zeros(rows * width);
  const seq = words(...Array.from({ length: rows }, (_, t) => Math.floor(t / time)));
  const pos = words(...Array.from({ length: rows }, (_, t) => t % time));
  const scale = 1 / Math.sqrt(size);
  const loss = () => {
    const shape = { rows, heads, head_size: size, context: time, packed: 1, scale };
    run(attentionForward, { qkv, seq, pos, k: qkv, v: qkv, y }, shape);
    return dot(y, dy);
  };
  loss();
  const [dqkv, stats] = [zeros(qkv.length), zeros(rows * heads * 2)];
  const params = { rows, heads, head_size: size, time, scale };
  run(queryBackward, { qkv, y, dy, dqkv, stats }, params);
  run(keyBackward, { qkv, dy, stats, dqkv }, params);
  agree(loss, qkv, dqkv);
});

test("embedding: tokens and positions", () => {
  const [time, width, vocabulary] = [3, 4, 5];
  const rows = 2 * time;
  const [token, pos] = [words(1, 4, 1, 0, 1, 2), words(0, 1, 2, 0, 1, 2)];
  const [wte, wpe, dx] = [floats(vocabulary * width), floats(time * width), floats(rows * width)];
  const x = zeros(rows * width);
  const loss = () => {
    run(embedForward, { token, pos, wte, wpe, x }, { rows, width, first: 0, count: vocabulary });
    return dot(x, dx);
  };
  const [dwte, dwpe] = [zeros(wte.length), zeros(wpe.length)];
  const sorted = words(3, 0, 2, 4, 5, 1);
  run(embedBackward, { dx, token, sorted, dwte }, { rows, width, first: 0, count: vocabulary });
  run(positionBackward, { dx, dwpe }, { rows, width, time, add: 0 });
  agree(loss, wte, dwte);
  agree(loss, wpe, dwpe);
});

/** Five rows for three experts, of which the second has none and one row is dropped. */
const mixture = { rows: 5, experts: 3, order: words(1, 4, 0, 2), start: words(0, 2, 2, 4) };

test("experts: input, matrices, biases, the probability; a dropped row changes nothing", () => {
  const { rows, experts, order, start } = mixture;
  const [width, inner] = [4, 6];
  const [x, dy] = [floats(rows * width), floats(rows * width)];
  const [up, upBias] = [floats(experts * width * inner), floats(experts * inner)];
  const [down, downBias] = [floats(experts * inner * width), floats(experts * width)];
  const prob = floats(rows, 0.3).map((p) => p + 0.6);
  const [u, h, y] = [zeros(rows * inner), zeros(rows * inner), zeros(rows * width)];
  const all = { first: 0, count: experts };
  const loss = () => {
    const into = { rows, inner: width, cols: inner, ...all };
    run(upForward, { x, order, start, w: up, b: upBias, h: u }, { ...into, gelu: 0 });
    run(upForward, { x, order, start, w: up, b: upBias, h }, { ...into, gelu: 1 });
    y.fill(0);
    const out = { rows, inner, cols: width, at: 0, ...all };
    run(downForward, { h, order, start, prob, w: down, b: downBias, y }, out);
    return dot(y, dy);
  };
  loss();
  const [dgathered, gathered, du] = [zeros(rows * width), zeros(rows * width), zeros(rows * inner)];
  const [dprob, dx] = [zeros(rows), zeros(rows * width)];
  const [dup, dupBias, ddown, ddownBias] = [up, upBias, down, downBias].map(({ length }) => zeros(length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const gather = { rows, width, experts, at: 0 };
  run(gatherForward, { x: dy, order, start, prob, y: dgathered }, { ...gather, scaled: 1 });
  run(gatherForward, { x, order, start, prob, y: gathered }, { ...gather, scaled: 0 });
  const second = { rows, inner, cols: width, ...all };
  run(expertWeightBackward, { x: h, dy: dgathered, start, dw: ddown, db: ddownBias }, { ...second, add: 0 });
  run(expertInputBackward, { dy: dgathered, order, start, w: down, dx: du }, { ...second, scatter: 0 });
  const through = { u, dy: dgathered, b: downBias, order, start, prob, g: du, dprob };
  run(activationBackward, through, { rows, inner, width, experts, at: 0 });
  const first = { rows, inner: width, cols: inner, ...all };
  run(expertWeightBackward, { x: gathered, dy: du, start, dw: dup, db: dupBias }, { ...first, add: 0 });
  run(expertInputBackward, { dy: du, order, start, w: up, dx }, { ...first, scatter: 1 });
  agree(loss, x, dx);
  agree(loss, up, dup);
  agree(loss, upBias, dupBias);
  agree(loss, down, ddown);
  agree(loss, downBias, ddownBias);
  agree(loss, prob, dprob);
});

test("gate: through the chosen probability and the balance loss, one row dropped", () => {
  const [rows, width, experts] = [6, 5, 4];
  const [x, gate, dprob] = [floats(rows * width), floats(experts * width), floats(rows)];
  const [probs, prob, expert] = [zeros(rows * experts), zeros(rows), new Uint32Array(rows)];
  const balance = zeros(2 * experts);
  const weight = 0.7;
  const dropped = 3;
  const loss = () => {
    run(gateForward, { x, gate, probs, expert, prob }, { rows, width, experts, at: 0 });
    run(balanceForward, { probs, expert, balance }, { rows, experts, at: 0, to: 0 });
    const aux = balance.subarray(0, experts).reduce((sum, me, e) => sum + me * balance[experts + e]!, 0);
    return prob.reduce((sum, p, t) => sum + (t === dropped ? 0 : p * dprob[t]!), 0) + weight * experts * aux;
  };
  loss();
  const kept = expert.map((e, t) => (t === dropped ? experts : e));
  const [dz, dx, dgate] = [zeros(rows * experts), zeros(rows * width), zeros(experts * width)];
  const params = { rows, width, experts, at: 0, to: 0, aux: (weight * experts) / rows };
  run(routeBackward, { probs, expert: kept, dprob, balance, gate, dz, dx }, params);
  run(tableBackward, { dy: dz, x, dw: dgate }, { rows, width, cols: experts, first: 0, count: experts, at: 0, add: 0 });
  agree(loss, x, dx);
  agree(loss, gate, dgate);
});
