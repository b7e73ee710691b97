/** t-SNE (van der Maaten & Hinton 2008), exact: hundreds of points need no approximation. */
import type { Distances } from "./distance.ts";
import type { Point } from "./project.ts";

export interface Embedding {
  points: Point[];
  /** Kullback–Leibler divergence between neighbourhoods in both spaces, nats: smaller shows them better. */
  divergence: number;
}

/** Of the paper's maps. */
const usualPerplexity = 30;
/** At the beginning attraction counts so many times, for so many steps. */
const exaggeration = { factor: 12, steps: 250 };
const steps = 1000;

/**
 * @param distances of at least four things
 * @param start where the points begin, e.g. their principal components: only directions count, lengths are made small
 * @param perplexity neighbours that count, about; at most a third of the others
 */
export function tsne(distances: Distances, start: readonly Point[], perplexity = usualPerplexity): Embedding {
  const { size } = distances;
  const p = affinities(distances, Math.min(perplexity, (size - 1) / 3));
  const y = beginning(start);
  const rate = Math.max(50, size / exaggeration.factor / 4);
  const [gradient, velocity] = [new Float64Array(2 * size), new Float64Array(2 * size)];
  const gains = new Float64Array(2 * size).fill(1);
  for (let step = 0; step < steps; step++) {
    const early = step < exaggeration.steps;
    slope(p, y, early ? exaggeration.factor : 1, gradient);
    const momentum = early ? 0.5 : 0.8;
    for (let i = 0; i < y.length; i++) {
      const turned = gradient[i]! > 0 === velocity[i]! > 0;
      gains[i] = Math.max(0.01, turned ? gains[i]! * 0.8 : gains[i]! + 0.2);
      velocity[i] = momentum * velocity[i]! - rate * gains[i]! * gradient[i]!;
      y[i]! += velocity[i]!;
    }
  }
  const points = Array.from({ length: size }, (_, i): Point => [y[2 * i]!, y[2 * i + 1]!]);
  return { points, divergence: divergenceOf(p, y) };
}

/** p of each pair, [n · n], sum 1: each row's bandwidth is such that its entropy is that of `perplexity` equal neighbours. */
function affinities({ size, values }: Distances, perplexity: number): Float64Array {
  const p = new Float64Array(size * size);
  for (let a = 0; a < size; a++) {
    const squares = Float64Array.from({ length: size }, (_, b) => values[a * size + b]! ** 2);
    const row = neighbourhood(squares, a, Math.log(perplexity));
    for (let b = 0; b < size; b++) {
      p[a * size + b]! += row[b]! / (2 * size);
      p[b * size + a]! += row[b]! / (2 * size);
    }
  }
  return p;
}

/** exp(−β · squares), normalised, β found by bisection. @param entropy nats */
function neighbourhood(squares: Float64Array, self: number, entropy: number): Float64Array {
  const row = new Float64Array(squares.length);
  const nearest = squares.reduce(
    (best, square, b) => (b === self ? best : Math.min(best, square)),
    Number.POSITIVE_INFINITY,
  );
  let [low, high, beta] = [0, Number.POSITIVE_INFINITY, 1];
  for (let turn = 0; turn < 100; turn++) {
    let [total, mean] = [0, 0];
    for (let b = 0; b < row.length; b++) {
      const apart = squares[b]! - nearest;
      row[b] = b === self ? 0 : Math.exp(-beta * apart);
      total += row[b]!;
      mean += row[b]! * apart;
    }
    for (let b = 0; b < row.length; b++) row[b]! /= total;
    const off = Math.log(total) + (beta * mean) / total - entropy;
    if (Math.abs(off) < 1e-8) break;
    if (off > 0) low = beta;
    else high = beta;
    beta = Number.isFinite(high) ? (low + high) / 2 : 2 * beta;
  }
  return row;
}

/** Both axes about 1e-4 wide, centred. */
function beginning(start: readonly Point[]): Float64Array {
  const size = start.length;
  const y = new Float64Array(2 * size);
  const mean = [0, 1].map((axis) => start.reduce((sum, point) => sum + point[axis as 0 | 1], 0) / size) as [
    number,
    number,
  ];
  const spread = Math.sqrt(start.reduce((sum, [x]) => sum + (x - mean[0]) ** 2, 0) / size) || 1;
  for (const [i, point] of start.entries())
    for (const axis of [0, 1] as const) y[2 * i + axis] = ((point[axis] - mean[axis]) / spread) * 1e-4;
  return y;
}

/** Student's kernel of each pair of points, and their sum. */
function kernelOf(y: Float64Array): { q: Float64Array; total: number } {
  const size = y.length / 2;
  const q = new Float64Array(size * size);
  let total = 0;
  for (let a = 0; a < size; a++)
    for (let b = 0; b < a; b++) {
      const apart = (y[2 * a]! - y[2 * b]!) ** 2 + (y[2 * a + 1]! - y[2 * b + 1]!) ** 2;
      q[a * size + b] = q[b * size + a] = 1 / (1 + apart);
      total += 2 * q[a * size + b]!;
    }
  return { q, total };
}

/** 4 Σ (p − q) · kernel · (yₐ − y_b), into `gradient`. */
function slope(p: Float64Array, y: Float64Array, factor: number, gradient: Float64Array): void {
  const size = y.length / 2;
  const { q, total } = kernelOf(y);
  gradient.fill(0);
  for (let a = 0; a < size; a++)
    for (let b = 0; b < size; b++) {
      const kernel = q[a * size + b]!;
      const pull = 4 * (factor * p[a * size + b]! - kernel / total) * kernel;
      gradient[2 * a]! += pull * (y[2 * a]! - y[2 * b]!);
      gradient[2 * a + 1]! += pull * (y[2 * a + 1]! - y[2 * b + 1]!);
    }
}

function divergenceOf(p: Float64Array, y: Float64Array): number {
  const { q, total } = kernelOf(y);
  let sum = 0;
  for (let i = 0; i < p.length; i++) if (p[i]! > 0) sum += p[i]! * Math.log((p[i]! * total) / q[i]!);
  return sum;
}
