/** Products with adapters as steps: y += (x · a) · b after y = x · W + b, of a matrix or over rows grouped by expert. */
import type { Device, Step, Tensor } from "../device/device.ts";
import { downSteps, product, type Scalar, upSteps } from "./products.ts";
import type { LowRank } from "./weights.ts";

/** Lets the experts' products add to rows in their own order. */
export interface OwnOrder {
  /** The numbers of the rows, u32 [R], and 1 for each, f32 [R]. */
  own: Tensor;
  once: Tensor;
}

/** What products with adapters need besides what the model's own need, for R rows. */
export interface AdapterScratch extends OwnOrder {
  /** x · a: f32 [R, rank]. */
  low: Tensor;
  /** Before GELU: f32 [R, F]. */
  u: Tensor;
}

export function createOwnOrder(device: Device, rows: number): OwnOrder {
  const own = device.tensor({ label: "own order", shape: [rows], type: "u32" });
  const once = device.tensor({ label: "once", shape: [rows], type: "f32" });
  device.upload(own, new Uint8Array(Uint32Array.from({ length: rows }, (_, i) => i).buffer));
  device.upload(once, new Uint8Array(new Float32Array(rows).fill(1).buffer));
  return { own, once };
}

/** @param inner F */
export function createAdapterScratch(device: Device, rows: number, rank: number, inner: number): AdapterScratch {
  const floats = (label: string, ...shape: number[]) => device.tensor({ label, shape, type: "f32" });
  return { ...createOwnOrder(device, rows), low: floats("x · A", rows, rank), u: floats("u", rows, inner) };
}

/** y += (x · a) · b of each adapter. */
export function adapterSteps(
  adapters: readonly LowRank[] = [],
  x: Tensor,
  y: Tensor,
  low: Tensor | undefined,
  rows: Scalar,
): Step[] {
  return adapters.flatMap(({ a, b }) => [product(a, x, low!, rows), product(b, low!, y, rows, { add: 1 })]);
}

/** Rows that lie in the order of the experts, [start[e], start[e + 1]) those of e. */
interface Grouped {
  order: Tensor;
  start: Tensor;
}

/** Experts' adapters of the first matrix: u[i] += (x[order[i]] · a) · b. */
export function upAdapterSteps(
  adapters: readonly LowRank[] = [],
  x: Tensor,
  { order, start }: Grouped,
  { low, own, once, u }: AdapterScratch,
  rows: Scalar,
): Step[] {
  return adapters.flatMap(({ a, b }) => [
    ...upSteps(a, { x, order, start, h: low }, rows, 0),
    ...downSteps(b, { h: low, order: own, start, prob: once, y: u }, rows, 0),
  ]);
}

/** Of the second: y[order[i]] += prob · ((h[i] · a) · b). */
export function downAdapterSteps(
  adapters: readonly LowRank[] = [],
  h: Tensor,
  { order, start }: Grouped,
  to: { prob: Tensor; at: number; y: Tensor },
  { low, own }: AdapterScratch,
  rows: Scalar,
): Step[] {
  return adapters.flatMap(({ a, b }) => [
    ...upSteps(a, { x: h, order: own, start, h: low }, rows, 0),
    ...downSteps(b, { h: low, order, start, prob: to.prob, y: to.y }, rows, to.at),
  ]);
}
