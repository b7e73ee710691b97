/**
 * Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): the momentum of a matrix, made orthogonal by
 * Newton–Schulz iterations, is its step; of a length that lets AdamW's rate and decay stand (Liu et al. 2025, arXiv 2502.16982).
 * Experts' matrices are made orthogonal one by one, and so are those of queries, keys and values.
 */

import { inputBackward } from "../../kernels/moe/input_backward.ts";
import { weightBackward } from "../../kernels/moe/weight_backward.ts";
import { momentumUpdate } from "../../kernels/optim/momentum_update.ts";
import { normalizeUpdate } from "../../kernels/optim/normalize_update.ts";
import { orthogonalUpdate } from "../../kernels/optim/orthogonal_update.ts";
import { polynomialUpdate } from "../../kernels/optim/polynomial_update.ts";
import { type Device, elements, type Step, type Tensor } from "../device/device.ts";

/** Momentum; the iterations' polynomial a x + b x³ + c x⁵ and how many; length of a step beside AdamW's. */
export const muon = { beta: 0.95, a: 3.4445, b: -4.775, c: 2.0315, iterations: 5, length: 0.2 };

/** A matrix parameter, [K, N] or [E, K, N], whose `columns` are so many matrices side by side (3: queries, keys, values). */
export interface MatrixParameter {
  w: Tensor;
  g: Tensor;
  m: Tensor;
  columns: number;
}

/** Rows of the matrices of one parameter, the longer side down. */
function sizes({ w, columns }: MatrixParameter) {
  const [inner, cols] = w.shape.slice(-2) as [number, number];
  const count = elements(w.shape) / inner / cols;
  const width = Math.min(inner, cols);
  const groups = count * columns;
  const rows = elements(w.shape) / width;
  return { inner, cols, count, width, groups, rows, each: rows / groups };
}

/** The steps of one update; `rate` and `clip` are variables. */
export function muonSteps(device: Device, parameters: readonly MatrixParameter[], decay: number): Step[] {
  if (parameters.length === 0) return [];
  const all = parameters.map(sizes);
  const largest = (of: (s: ReturnType<typeof sizes>) => number) => Math.max(...all.map(of));
  const scratch = (label: string, n: number) => device.tensor({ label, shape: [n], type: "f32" });
  const x = scratch(
    "orthogonal",
    largest((s) => s.rows * s.width),
  );
  const y = scratch(
    "orthogonal, the next",
    largest((s) => s.rows * s.width),
  );
  const sums = scratch(
    "column sums",
    largest((s) => s.groups * s.width),
  );
  const starts = new Map<string, Tensor>();
  const squares = new Map<string, Tensor>();
  const once = (map: Map<string, Tensor>, key: string, make: () => Tensor) => {
    if (!map.has(key)) map.set(key, make());
    return map.get(key)!;
  };
  return parameters.flatMap(({ w, g, m }, i) => {
    const { inner, cols, count, width, groups, rows, each } = all[i]!;
    const start = once(starts, `${groups} ${each}`, () => {
      const tensor = device.tensor({ label: "start", shape: [groups + 1], type: "u32" });
      const at = Uint32Array.from({ length: groups + 1 }, (_, j) => j * each);
      device.upload(tensor, new Uint8Array(at.buffer));
      return tensor;
    });
    const square = (label: string) =>
      once(squares, `${label} ${groups} ${width}`, () =>
        device.tensor({ label, shape: [groups, width, width], type: "f32", layout: "matrix" }),
      );
    const [gram, polynomial] = [square("gram"), square("polynomial")];
    const order = once(starts, `${rows}`, () => device.tensor({ label: "order", shape: [rows], type: "u32" }));
    // The polynomial of x is x times a polynomial of xᵀ · x, which is symmetric.
    const iteration = (x: Tensor, to: Tensor): Step[] => [
      {
        kernel: weightBackward,
        bindings: { x, dy: x, start, dw: gram, db: sums },
        params: { rows, inner: width, cols: width, first: 0, count: groups, add: 0 },
      },
      {
        kernel: polynomialUpdate,
        bindings: { gram, w: polynomial },
        params: { count: groups, width, a: muon.a, b: muon.b, c: muon.c },
      },
      {
        kernel: inputBackward,
        bindings: { dy: x, order, start, w: polynomial, dx: to },
        params: { rows, inner: width, cols: width, first: 0, count: groups, scatter: 0 },
      },
    ];
    return [
      {
        kernel: momentumUpdate,
        bindings: { g, m, x },
        params: { count, inner, cols, beta: muon.beta, clip: "clip" },
      },
      { kernel: normalizeUpdate, bindings: { x }, params: { count: groups, size: each * width } },
      ...Array.from({ length: muon.iterations }, (_, i) => (i % 2 ? iteration(y, x) : iteration(x, y))).flat(),
      {
        kernel: orthogonalUpdate,
        bindings: { x: muon.iterations % 2 ? y : x, w },
        params: { count, inner, cols, rate: "rate", scale: muon.length * Math.sqrt(each), decay },
      },
    ];
  });
}
