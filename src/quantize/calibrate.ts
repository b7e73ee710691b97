/** How strongly text drives each input of each matrix, and how many tokens each expert sees: what quantizing weighs errors by. */
import { moeLayers } from "../checkpoint/config.ts";
import type { RoutingProfile } from "../checkpoint/profile.ts";
import type { Document } from "../data/documents.ts";
import type { Program, Tensor } from "../device/device.ts";
import { createCache } from "../model/cache.ts";
import { type Activations, body, createActivations, norm } from "../model/graph.ts";
import type { Model } from "../model/open.ts";
import type { Matrix } from "../model/weights.ts";
import { affordable, compensable, Moments } from "./moments.ts";

export interface Calibration {
  /** Of each input of a matrix, by the tensor's name: [inner], its mean square over the tokens that met it, 1 on average. */
  importance: Map<string, Float32Array>;
  /** Of the matrices whose errors can be compensated, by the tensor's name: [inner, inner], XᵀX of its inputs. */
  moments: Map<string, Float32Array>;
  /** Matrices without, because fewer tokens met them than they have inputs, or because their moments would take too much memory. */
  short: string[];
  large: string[];
  /** Tokens that each expert saw, by its name: "h.1.moe.experts.0". */
  seen: Map<string, number>;
  /** Experts that saw too few: their importance is that of all experts of their layer together. */
  few: string[];
  tokens: number;
  /** Where each language's tokens went; of models that have experts. */
  routing?: RoutingProfile;
}

export interface CalibrateOptions {
  /** Called before each text. */
  progress?: (done: number, all: number) => void;
  signal?: AbortSignal;
}

/** Tokens of a sequence, at most. */
const longest = 512;
/** Tokens from which on an expert's own statistics count. */
const enough = 128;
/** Part of the mean that every input has at least: what these texts never drive, others may. */
const floor = 0.01;
/** Rows from which on the graph groups them by expert. */
const fewestRows = 8;

/** Sums of squares of the inputs that rows brought to a matrix. */
class Squares {
  rows = 0;
  private readonly sums: Float64Array;

  constructor(inner: number) {
    this.sums = new Float64Array(inner);
  }

  /** @param x [.., inner] */
  add(x: Float32Array, row: number): void {
    const { sums } = this;
    const at = row * sums.length;
    for (let k = 0; k < sums.length; k++) sums[k]! += x[at + k]! ** 2;
    this.rows++;
  }

  /** All of several together. */
  static of(some: readonly Squares[]): Squares {
    const all = new Squares(some[0]!.sums.length);
    for (const { rows, sums } of some) {
      all.rows += rows;
      for (let k = 0; k < sums.length; k++) all.sums[k]! += sums[k]!;
    }
    return all;
  }

  importance(): Float32Array {
    const mean = this.sums.reduce((total, square) => total + square, 0) / this.sums.length;
    return Float32Array.from(this.sums, (square) => (mean > 0 ? Math.max(floor, square / mean) : 1));
  }
}

/** A matrix, or the same one of every expert of a layer, and where its inputs are. */
interface Product {
  /** Names of its tensors. */
  names: string[];
  inner: number;
  squares: Squares[];
  input: Tensor;
  /** Of experts: whether inputs are by token, or already in the order of experts. */
  rows?: "token" | "expert";
}

/** Steps up to the next product, whose input is then read. */
interface Segment {
  program: Program;
  product: Product;
}

/**
 * Runs texts through a model, sequence by sequence of at most 512 tokens, and sums on the host.
 * @throws DOMException AbortError after `signal`
 */
export async function calibrate(
  model: Model,
  texts: readonly Document[],
  { progress, signal }: CalibrateOptions = {},
): Promise<Calibration> {
  const { device, config, tokenizer } = model;
  const context = Math.min(config.context, longest);
  const activations = createActivations(device, config, Math.max(fewestRows, context));
  const products = productsOf(model, activations);
  const matrices = compensableOf(products);
  const { fit } = affordable(matrices);
  const sums = new Moments(device, activations.capacity);
  const segments = segmentsOf(model, activations, products, context);
  const { token, pos, order, start } = activations;
  const mixtures = [...new Set(products.values())].filter(({ rows }) => rows === "token");
  const routing = new Map<string, number[][]>();
  let tokens = 0;
  for (const [i, { language, text }] of texts.entries()) {
    progress?.(i, texts.length);
    const before = mixtures.map(rowsOf);
    const ids = [config.eos, ...tokenizer.encode(text)];
    for (let at = 0; at < ids.length; at += context) {
      signal?.throwIfAborted();
      const some = Uint32Array.from(ids.slice(at, at + context));
      device.upload(token, new Uint8Array(some.buffer));
      device.upload(pos, new Uint8Array(some.map((_, t) => t).buffer));
      for (const { program, product } of segments) {
        const read = [product.input, order, start];
        const [x, o, s] = await device.run(program, { rows: some.length }, { read });
        for (const [name, rows] of collect(product, floats(x!), words(o!), words(s!), some.length))
          if (fit.has(name)) await sums.add(name, product.inner, rows);
      }
      tokens += some.length;
    }
    const known = routing.get(language);
    const added = mixtures.map((mixture, m) =>
      rowsOf(mixture).map((rows, e) => rows - before[m]![e]! + (known?.[m]?.[e] ?? 0)),
    );
    routing.set(language, added);
  }
  const moments: Calibration["moments"] = new Map();
  const [short, large]: [string[], string[]] = [[], []];
  for (const { name, inner, squares } of matrices)
    if (!fit.has(name)) large.push(name);
    else if (squares.rows < Math.max(enough, inner)) short.push(name);
    else moments.set(name, await sums.take(name));
  sums.close();
  return { ...summary(products), moments, short, large, tokens, ...(mixtures.length > 0 && { routing }) };
}

function compensableOf(products: Map<Tensor, Product>): { name: string; inner: number; squares: Squares }[] {
  return [...new Set(products.values())].flatMap(({ names, inner, squares }) =>
    names.flatMap((name, e) => (compensable(name) ? [{ name, inner, squares: squares[e]! }] : [])),
  );
}

/** Tokens that each expert has seen so far. */
const rowsOf = ({ squares }: Product) => squares.map(({ rows }) => rows);

function productsOf({ config, weights }: Model, a: Activations): Map<Tensor, Product> {
  const products = new Map<Tensor, Product>();
  const add = (matrix: Pick<Matrix, "inner" | "parts">, names: string[], input: Tensor, rows?: Product["rows"]) => {
    const squares = names.map(() => new Squares(matrix.inner));
    const product = { names, inner: matrix.inner, squares, input, ...(rows && { rows }) };
    for (const { tensor } of matrix.parts) products.set(tensor, product);
  };
  const mixtures = new Set(moeLayers(config));
  for (const [i, layer] of weights.layers.entries()) {
    add(layer.qkv.w, [`h.${i}.attn.c_attn.weight`], a.y);
    add(layer.out.w, [`h.${i}.attn.c_proj.weight`], a.attended);
    const experts = Array.from({ length: config.experts }, (_, e) => `h.${i}.moe.experts.${e}`);
    const units = mixtures.has(i) ? experts : [`h.${i}.mlp`];
    const named = (part: string) => units.map((unit) => `${unit}.${part}.weight`);
    add(layer.up.w, named("c_fc"), a.y, mixtures.has(i) ? "token" : undefined);
    add(layer.down.w, named("c_proj"), a.h, mixtures.has(i) ? "expert" : undefined);
  }
  add({ inner: config.width, parts: weights.wte.parts }, ["wte.weight"], a.y);
  return products;
}

/** The forward pass, cut before each product; the last one, by the embedding, is not computed. */
function segmentsOf(model: Model, a: Activations, products: Map<Tensor, Product>, context: number): Segment[] {
  const { device, config, weights } = model;
  const steps = [
    ...body(config, weights, createCache(device, config, 1, context), a, "rows"),
    norm(config, weights.norm, a.x, a.y, "rows"),
  ];
  const segments: Segment[] = [];
  const met = new Set<Product>();
  let from = 0;
  const cut = (to: number, product: Product) => {
    const program = device.program(`calibrate ${product.names[0]}`, steps.slice(from, to), { rows: context });
    segments.push({ program, product });
    met.add(product);
    from = to;
  };
  for (const [i, { bindings }] of steps.entries()) {
    const product = bindings.w && products.get(bindings.w);
    // Of experts in several parts, the first.
    if (product && !met.has(product)) cut(i, product);
  }
  cut(steps.length, products.get(weights.wte.parts[0]!.tensor)!);
  return segments;
}

/** What a run brought to each matrix: [.., inner], if anything. */
function* collect(
  { names, inner, squares, rows }: Product,
  x: Float32Array,
  order: Uint32Array,
  start: Uint32Array,
  count: number,
): Generator<[name: string, rows: Float32Array]> {
  for (const [e, name] of names.entries()) {
    const [first, end] = rows ? [start[e]!, start[e + 1]!] : [0, count];
    if (end === first) continue;
    let own = x.subarray(first * inner, end * inner);
    if (rows === "token") {
      own = new Float32Array(own.length);
      for (let i = first; i < end; i++)
        own.set(x.subarray(order[i]! * inner, (order[i]! + 1) * inner), (i - first) * inner);
    }
    for (let i = 0; i < end - first; i++) squares[e]!.add(own, i);
    yield [name, own];
  }
}

function summary(products: Map<Tensor, Product>): Pick<Calibration, "importance" | "seen" | "few"> {
  const importance: Calibration["importance"] = new Map();
  const seen: Calibration["seen"] = new Map();
  const few: string[] = [];
  for (const { names, squares } of new Set(products.values())) {
    const together = Squares.of(squares).importance();
    for (const [i, name] of names.entries()) {
      const own = squares[i]!;
      const unseen = squares.length > 1 && own.rows < enough;
      importance.set(name, unseen ? together : own.importance());
      const [, expert] = /^(.*\.experts\.\d+)\.c_fc\.weight$/.exec(name) ?? [];
      if (expert === undefined) continue;
      seen.set(expert, own.rows);
      if (unseen) few.push(expert);
    }
  }
  return { importance, seen, few };
}

const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer);
const floats = (bytes: Uint8Array) => new Float32Array(bytes.slice().buffer);
