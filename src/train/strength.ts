/**
 * How much of what was learnt is taken: between a model and what training made of it lie models that have most of the gain and
 * have forgotten little, since the one grows with the distance and the other with its square (Wortsman et al., Robust
 * fine-tuning of zero-shot models, CVPR 2022).
 */
import { fromFloats, toFloats } from "../base/float.ts";
import type { TensorInfo } from "../checkpoint/tensor.ts";
import type { WeightSource } from "../model/weights.ts";
import type { TrainingEngine } from "./engine.ts";

/** What was measured at one strength. */
export interface Tempered<M> {
  strength: number;
  measured: M;
}

/** Measurements of one search, at most; the share of the limit that is aimed at, and that is enough. */
const [tries, aim, enough] = [5, 0.85, 0.6];

/**
 * The greatest strength found at which what is lost stays within a limit. Losses grow about with the square of the strength.
 * @param limit above 0
 * @param measure at a strength above 0 to 1; undefined: stopped
 * @param lossOf a measurement
 * @returns undefined where it was stopped, or no strength that was tried keeps the limit
 */
export async function temper<M>(
  limit: number,
  measure: (strength: number) => Promise<M | undefined>,
  lossOf: (measured: M) => number,
): Promise<Tempered<M> | undefined> {
  let kept: Tempered<M> | undefined;
  let [strength, high] = [1, 1];
  for (let i = 0; i < tries; i++) {
    const measured = await measure(strength);
    if (measured === undefined) return undefined;
    const loss = lossOf(measured);
    if (loss <= limit) {
      kept = { strength, measured };
      if (strength === 1 || loss >= enough * limit) return kept;
    } else high = strength;
    const low = kept?.strength ?? 0;
    const next = loss > 0 ? strength * Math.sqrt((aim * limit) / loss) : high;
    strength = next > low && next < high ? next : (low + high) / 2;
  }
  return kept;
}

type Values = ReadonlyMap<string, Float32Array>;

/** What an engine trains, to be scaled and put back. */
export class Scaled {
  private constructor(
    private readonly engine: TrainingEngine,
    private readonly from: Values,
    private readonly to: Values,
  ) {}

  /** @param base the model that is adapted */
  static async of(engine: TrainingEngine, base: WeightSource): Promise<Scaled> {
    const to = await valuesOf(engine);
    if (engine.buffers.shape.adapter) {
      // B alone is scaled, which began as zeros: the product is.
      const from = new Map(Array.from(to, ([name, x]) => [name, name.endsWith(".lora_b") ? x.map(() => 0) : x]));
      return new Scaled(engine, from, to);
    }
    engine.loadBase(base);
    const scaled = new Scaled(engine, await valuesOf(engine), to);
    scaled.set(1);
    return scaled;
  }

  /** @param strength 1: as trained, exactly */
  set(strength: number): void {
    const { engine, from, to } = this;
    const between = (name: string) => {
      const [a, b] = [from.get(name)!, to.get(name)!];
      return strength === 1 || a === b ? b : b.map((x, i) => a[i]! + strength * (x - a[i]!));
    };
    const infoOf = (name: string, { length, byteLength }: Float32Array): TensorInfo => {
      return { name, type: "f32", shape: [length], bytes: byteLength };
    };
    engine.load("weights", {
      tensors: new Map(Array.from(to, ([name, values]) => [name, infoOf(name, values)])),
      read: (name) => [fromFloats(between(name), "f32")],
    });
  }
}

/** All that is trained, by name. */
async function valuesOf(engine: TrainingEngine): Promise<Values> {
  const values = new Map<string, Float32Array>();
  for await (const { name, pieces } of engine.stored("weights")) {
    const all: Uint8Array[] = [];
    for await (const piece of pieces) all.push(piece.slice());
    values.set(name, toFloats(new Uint8Array(Buffer.concat(all)), "f32"));
  }
  return values;
}
