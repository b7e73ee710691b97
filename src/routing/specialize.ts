/** A model for some languages: of each layer's experts those that serve them best, the others gone, and what stays fitted to it. */
import { version } from "../base/version.ts";
import { moeLayers } from "../checkpoint/config.ts";
import { FloatReader } from "../checkpoint/floats.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { TensorType } from "../checkpoint/tensor.ts";
import type { Document } from "../data/documents.ts";
import type { Device } from "../device/device.ts";
import type { Model } from "../model/open.ts";
import { ridge } from "./ridge.ts";
import { chooseExperts, type ExpertOutputs, type Kept } from "./specialize-choose.ts";
import { withoutExperts } from "./specialize-source.ts";
import { ExpertTrace } from "./specialize-trace.ts";

/** What happened to one mixture. */
export interface SpecializedLayer {
  layer: number;
  /** Old numbers of the experts that stay, ascending. */
  kept: number[];
  /** Share of the tokens whose expert stays. */
  covered: number;
  /** What the others' leaving costs the layer's output on the texts, before the rest is fitted: Σ (new − old)² / Σ old². */
  error: number;
}

export interface Specialized {
  layers: SpecializedLayer[];
  /** Of the texts. */
  tokens: number;
  /** The new model. Closes the one that it was made from. */
  source: ModelSource;
  /** Of what was fitted, and is f32 in the new model: how it was stored, by its new name. */
  stored: ReadonlyMap<string, TensorType>;
}

export interface SpecializeOptions {
  /** Experts of each layer that stay, fewer than there are. */
  keep: number;
  /** Called between layers, with those that are done. */
  progress?: (done: number, all: number) => void;
  signal?: AbortSignal;
}

/** A language's part of the tokens. */
interface Span {
  language: string;
  from: number;
  to: number;
}

/** What a layer is given, and what it said to it with all experts. */
interface Seen extends ExpertOutputs {
  /** [rows, width] */
  inputs: Float32Array;
  said: Float32Array;
}

/**
 * Takes experts out of a model by what texts make of them, with forward passes alone. Layer by layer, on the inputs that the whole
 * model gives it: experts are chosen by `chooseExperts`; then the second matrix of each that stays, with its bias, is fitted so that
 * its tokens, old and new, hear what the whole layer said, by ridge regression around the matrix as it was.
 * @param texts in the languages that count, at least one and none empty; each language counts by its tokens
 * @throws LolaError "device" when the device has no room; DOMException AbortError after `signal`
 */
export async function specialize(
  model: Model,
  texts: readonly Document[],
  { keep, progress, signal }: SpecializeOptions,
): Promise<Specialized> {
  const { source, device, config } = model;
  const trace = new ExpertTrace(model);
  const { spans, inputs } = await inputsOf(model, trace, texts, signal);
  const mixtures = moeLayers(config);
  const layers: SpecializedLayer[] = [];
  const changed = new Map<string, Float32Array>();
  const stored = new Map<string, TensorType>();
  const choices: Kept[] = [];
  for (const [i, layer] of mixtures.entries()) {
    progress?.(i, mixtures.length);
    const seen = await outputsOf(trace, i, gateOf(source, layer), inputs[i]!, signal);
    const kept = chooseExperts(seen, keep);
    let error = 0;
    for (const [place, expert] of kept.experts.entries()) {
      signal?.throwIfAborted();
      const name = `h.${layer}.moe.experts`;
      const old = second(source, `${name}.${expert}`);
      const fitted = await fit(device, trace, { seen, kept, layer: i, place, old });
      error += fitted.error;
      for (const part of ["weight", "bias"] as const) {
        changed.set(`${name}.${place}.c_proj.${part}`, fitted[part]);
        stored.set(`${name}.${place}.c_proj.${part}`, source.tensors.get(`${name}.${expert}.c_proj.${part}`)!.type);
      }
    }
    choices.push(kept);
    layers.push({
      layer,
      kept: kept.experts,
      covered: covered(seen, kept),
      error: error / squares(seen.said),
    });
  }
  const specialized = withoutExperts(source, {
    kept: choices.map(({ experts }) => experts),
    changed,
    routing: profileOf(spans, choices),
    provenance: {
      made: "specialize",
      from: source.provenance.from,
      version,
      notes: [...source.provenance.notes, ...source.notes, ...told(spans, layers, config.experts)],
    },
  });
  return { layers, tokens: inputs[0]!.length / config.width, source: specialized, stored };
}

/** What all tokens bring to each mixture, and which are whose. */
async function inputsOf(
  { config, tokenizer }: Model,
  trace: ExpertTrace,
  texts: readonly Document[],
  signal: AbortSignal | undefined,
): Promise<{ spans: Span[]; inputs: Float32Array[] }> {
  const spans: Span[] = [];
  const parts: Float32Array[][] = [];
  for (const { language, text } of texts) {
    const ids = [config.eos, ...tokenizer.encode(text)];
    const from = spans.at(-1)?.to ?? 0;
    spans.push({ language, from, to: from + ids.length });
    parts.push(await trace.inputs(ids, signal));
  }
  const inputs = moeLayers(config).map((_, i) => concatenated(parts.map((layers) => layers[i]!)));
  return { spans, inputs };
}

/** What each expert would make of a layer's tokens, beside what the layer says. */
async function outputsOf(
  trace: ExpertTrace,
  layer: number,
  gate: Float32Array,
  inputs: Float32Array,
  signal: AbortSignal | undefined,
): Promise<Seen> {
  const { width, experts } = trace;
  const rows = inputs.length / width;
  const logits = new Float32Array(rows * experts);
  for (let t = 0; t < rows; t++)
    for (let e = 0; e < experts; e++) {
      let sum = 0;
      for (let c = 0; c < width; c++) sum += inputs[t * width + c]! * gate[e * width + c]!;
      logits[t * experts + e] = sum;
    }
  const none = new Float64Array(rows * experts);
  // With all experts, each token has its own.
  const all = chooseExperts({ rows, experts, logits, norms: none, products: none }, experts);
  const said = new Float32Array(inputs.length);
  const [norms, products] = [new Float64Array(rows * experts), new Float64Array(rows * experts)];
  for (let e = 0; e < experts; e++) {
    const own = rowsOf(all, e);
    const { output } = await trace.work(layer, e, gathered(inputs, own, width), signal);
    for (const [i, t] of own.entries())
      for (let c = 0; c < width; c++) said[t * width + c] = all.probability[t]! * output[i * width + c]!;
  }
  for (let e = 0; e < experts; e++) {
    const { output } = await trace.work(layer, e, inputs, signal);
    for (let t = 0; t < rows; t++) {
      let [norm, product] = [0, 0];
      for (let c = t * width; c < (t + 1) * width; c++) {
        norm += output[c]! ** 2;
        product += output[c]! * said[c]!;
      }
      norms[t * experts + e] = norm;
      products[t * experts + e] = product;
    }
  }
  return { rows, experts, logits, norms, products, inputs, said };
}

interface Expert {
  seen: Seen;
  kept: Kept;
  /** Which of the mixtures, and which of its kept experts. */
  layer: number;
  place: number;
  /** Its second matrix and bias, [inner + 1, width]. */
  old: Float32Array;
}

/** A kept expert's second matrix, so that its tokens hear what the layer said; with the squared error before. */
async function fit(device: Device, trace: ExpertTrace, { seen, kept, layer, place, old }: Expert) {
  const { width, inner } = trace;
  const expert = kept.experts[place]!;
  const own = rowsOf(kept, expert);
  const split = (all: Float32Array) => ({
    weight: all.slice(0, inner * width),
    bias: all.slice(inner * width),
  });
  if (own.length === 0) return { ...split(old), error: 0 };
  const { hidden, output } = await trace.work(layer, expert, gathered(seen.inputs, own, width));
  const scale = kept.scales[place]!;
  const x = new Float32Array(own.length * (inner + 1));
  const missing = new Float32Array(own.length * width);
  let error = 0;
  for (const [i, t] of own.entries()) {
    const p = kept.probability[t]!;
    const at = i * (inner + 1);
    for (let k = 0; k < inner; k++) x[at + k] = p * hidden[i * inner + k]!;
    x[at + inner] = p;
    for (let c = 0; c < width; c++) {
      const [wanted, got] = [seen.said[t * width + c]!, p * output[i * width + c]!];
      error += (wanted - got) ** 2;
      missing[i * width + c] = wanted - scale * got;
    }
  }
  const more = await ridge(device, x, missing, own.length);
  return { ...split(old.map((weight, i) => scale * weight + more[i]!)), error };
}

/** Where the texts' tokens go without the experts that left, as the whole model would send them. */
function profileOf(spans: readonly Span[], choices: readonly Kept[]) {
  return new Map(
    Map.groupBy(spans, ({ language }) => language)
      .entries()
      .map(([language, own]) => [
        language,
        choices.map(({ experts, route }) => {
          const tokens = own.flatMap(({ from, to }) => [...route.subarray(from, to)]);
          return experts.map((expert) => tokens.filter((chosen) => chosen === expert).length);
        }),
      ]),
  );
}

function told(spans: readonly Span[], layers: readonly SpecializedLayer[], all: number): string[] {
  const languages = [...new Set(spans.map(({ language }) => language))].sort();
  return [
    `specialized to ${languages.join(", ")}: ${layers[0]!.kept.length} of ${all} experts of each layer`,
    ...layers.map(({ layer, kept }) => `experts of layer ${layer}: ${kept.join(", ")} of before`),
  ];
}

/** Share of tokens that the whole layer, too, would send to an expert that stays. */
function covered({ rows, experts, logits }: Seen, kept: Kept): number {
  let same = 0;
  for (let t = 0; t < rows; t++) {
    const own = logits.subarray(t * experts, (t + 1) * experts);
    if (own.every((logit) => logit <= own[kept.route[t]!]!)) same++;
  }
  return same / rows;
}

function gateOf(source: ModelSource, layer: number): Float32Array {
  return whole(source, `h.${layer}.moe.gate.weight`);
}

/** [inner + 1, width]: the second matrix of an expert, its bias the last row. */
function second(source: ModelSource, expert: string): Float32Array {
  return concatenated([whole(source, `${expert}.c_proj.weight`), whole(source, `${expert}.c_proj.bias`)]);
}

function whole(source: ModelSource, name: string): Float32Array {
  return concatenated(Array.from(new FloatReader(source).read(name), (piece) => piece.slice()));
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Tokens of an expert. */
function rowsOf({ route }: Kept, expert: number): number[] {
  return Array.from(route.keys()).filter((t) => route[t] === expert);
}

function gathered(x: Float32Array, rows: readonly number[], width: number): Float32Array {
  const some = new Float32Array(rows.length * width);
  for (const [i, t] of rows.entries()) some.set(x.subarray(t * width, (t + 1) * width), i * width);
  return some;
}

function squares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
