/** What differs between two collections, or between two languages of one. */
import { LolaError } from "../base/errors.ts";
import type { Collection } from "./collection.ts";
import { among, jensenShannon, routingDistances } from "./distance.ts";
import { type Mantel, mantel, permutationsOf } from "./mantel.ts";
import { vectorsOf } from "./vectors.ts";

/** A language in two collections. */
export interface LanguageChange {
  language: string;
  /** Jensen–Shannon distance of its two vectors, over all layers: 0 … 1. */
  distance: number;
  /** The same in each MoE layer alone. */
  layers: number[];
}

export interface CollectionDiff {
  /** The languages of both, those that changed most first. */
  languages: LanguageChange[];
  mean: number;
  /** Languages of one of them alone. */
  onlyFirst: string[];
  onlySecond: string[];
  /** One model's collections: the numbers of its experts mean the same in both. */
  sameModel: boolean;
  /**
   * Do both arrange the languages alike? Mantel's test of their distances among themselves (Spearman), which does not depend on
   * how experts are numbered; null for fewer than 4 languages, or where they do not differ.
   */
  arrangement: Mantel | null;
}

/** Fewer have no more than 6 orders: no test. */
const fewestLanguages = 4;

/** @throws LolaError "usage" where layers and experts are not alike, or no language is in both */
export function diffCollections(first: Collection, second: Collection, permutations = 10_000): CollectionDiff {
  const shape = ({ experts, layers }: Collection) => `${experts} experts in the layers ${layers.join(", ")}`;
  if (shape(first) !== shape(second))
    throw new LolaError("usage", `not comparable: ${shape(first)}, and ${shape(second)}`, "two of one shape");
  const [a, b] = [indexOf(first), indexOf(second)];
  const both = [...a.keys()].filter((language) => b.has(language));
  if (both.length === 0)
    throw new LolaError("usage", "no language is in both", "lola routing collect, on the same texts");
  const { experts } = first;
  const [x, y] = [vectorsOf(first), vectorsOf(second)];
  const languages = both.map((language): LanguageChange => {
    const [from, to] = [x[a.get(language)!]!, y[b.get(language)!]!];
    const layers = first.layers.map((_, layer) => {
      const part = (vector: Float64Array) => vector.subarray(layer * experts, (layer + 1) * experts);
      return jensenShannon(part(from), part(to), experts);
    });
    return { language, distance: jensenShannon(from, to, experts), layers };
  });
  const arranged = (vectors: Float64Array[], index: Map<string, number>) =>
    among(
      routingDistances(vectors, experts),
      both.map((language) => index.get(language)!),
    );
  const tested = both.length >= fewestLanguages;
  return {
    languages: languages.sort((l, r) => r.distance - l.distance),
    mean: languages.reduce((sum, { distance }) => sum + distance, 0) / languages.length,
    onlyFirst: [...a.keys()].filter((language) => !b.has(language)),
    onlySecond: [...b.keys()].filter((language) => !a.has(language)),
    sameModel: first.model.identity === second.model.identity,
    arrangement: (tested && mantel(arranged(x, a), arranged(y, b), permutationsOf(both.length, permutations))) || null,
  };
}

/** An expert and the shares of two languages' tokens that it sees. */
export interface ExpertDifference {
  /** Transformer layer, and expert, 0-based. */
  layer: number;
  expert: number;
  shares: [first: number, second: number];
}

export interface LanguageDiff {
  languages: [first: string, second: string];
  /** Jensen–Shannon distance over all layers, and in each MoE layer: 0 … 1. */
  distance: number;
  layers: { layer: number; distance: number }[];
  /** Those whose shares differ most first. */
  experts: ExpertDifference[];
}

/** @throws LolaError "usage" for a language that is not in the collection */
export function diffLanguages(collection: Collection, first: string, second: string): LanguageDiff {
  const { layers, experts } = collection;
  const index = indexOf(collection);
  const vectors = vectorsOf(collection);
  const [a, b] = [first, second].map((language) => {
    const at = index.get(language);
    if (at === undefined)
      throw new LolaError("usage", `no language ${language} in it`, `one of ${[...index.keys()].join(" ")}`);
    return vectors[at]!;
  }) as [Float64Array, Float64Array];
  const part = (vector: Float64Array, layer: number) => vector.subarray(layer * experts, (layer + 1) * experts);
  return {
    languages: [first, second],
    distance: jensenShannon(a, b, experts),
    layers: layers.map((layer, i) => ({ layer, distance: jensenShannon(part(a, i), part(b, i), experts) })),
    experts: Array.from(
      a,
      (share, i): ExpertDifference => ({
        layer: layers[Math.floor(i / experts)]!,
        expert: i % experts,
        shares: [share, b[i]!],
      }),
    ).sort((l, r) => Math.abs(r.shares[0] - r.shares[1]) - Math.abs(l.shares[0] - l.shares[1])),
  };
}

const indexOf = ({ languages }: Collection) => new Map(languages.map(({ language }, i) => [language, i]));
