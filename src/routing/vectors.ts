/** Languages as vectors: which share of their tokens each expert of each layer sees (spec §6). */
import { sharesOf } from "../checkpoint/profile.ts";
import type { Collection } from "./collection.ts";

/** [languages][MoE layers · experts]: shares, each layer's sum 1. */
export type Vectors = readonly Float64Array[];

/** Languages in the collection's order. */
export function vectorsOf({ languages }: Collection): Float64Array[] {
  return languages.map(({ counts }) => sharesOf(counts));
}

/** One layer's part of each vector: [languages][experts]. */
export function layerOf(vectors: Vectors, layer: number, experts: number): Float64Array[] {
  return vectors.map((vector) => vector.subarray(layer * experts, (layer + 1) * experts));
}

/** [MoE layers · experts][languages]: an expert by the shares that each language sends it. */
export function transposed(vectors: Vectors): Float64Array[] {
  return Array.from(vectors[0] ?? [], (_, column) => Float64Array.from(vectors, (vector) => vector[column]!));
}

/** An expert and the language that sends it the largest share of its tokens. */
export interface Specificity {
  /** 0-based, among the layer's experts. */
  expert: number;
  /** Largest share over the languages: `METRIC` of spec §6; 1 / experts where nothing is specific. */
  share: number;
  language: string;
}

/** Of each layer's experts, the least specific first (spec §6): [MoE layer][experts]. */
export function specificity({ languages, layers, experts }: Collection, vectors: Vectors): Specificity[][] {
  return layers.map((_, layer) =>
    Array.from({ length: experts }, (_, expert) => {
      let best = 0;
      const share = (language: number) => vectors[language]![layer * experts + expert]!;
      for (let language = 1; language < vectors.length; language++) if (share(language) > share(best)) best = language;
      return { expert, share: share(best), language: languages[best]!.language };
    }).sort((a, b) => a.share - b.share || a.expert - b.expert),
  );
}

/** How evenly a layer's experts work. */
export interface LayerLoad {
  /** Transformer layer, 0-based. */
  layer: number;
  /** [experts] Share of all tokens. */
  shares: number[];
  /** Of `shares`, by that of equal shares: 1 when all experts see the same number of tokens. */
  evenness: number;
  largest: number;
  /** Mean entropy of a token's gate distribution, by that of equal probabilities: 0 when the gate is always certain. */
  gate: number;
}

/** Load of all languages together, each token counted once: [MoE layers]. */
export function layerLoads({ languages, layers, experts }: Collection): LayerLoad[] {
  const tokens = languages.reduce((sum, language) => sum + language.tokens, 0);
  const most = Math.log(experts) || 1;
  return layers.map((layer, i) => {
    const shares = Array.from(
      { length: experts },
      (_, expert) => languages.reduce((sum, { counts }) => sum + counts[i]![expert]!, 0) / tokens,
    );
    const gate = languages.reduce((sum, language) => sum + language.entropy[i]! * language.tokens, 0) / tokens;
    return { layer, shares, evenness: entropy(shares) / most, largest: Math.max(...shares), gate: gate / most };
  });
}

/** Nats. */
function entropy(shares: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < shares.length; i++) if (shares[i]! > 0) sum -= shares[i]! * Math.log(shares[i]!);
  return sum;
}
