/** How far languages are from each other by what is known of them: family trees, features, places, scripts, tokens. */
import type { Language } from "../data/languages.ts";

export const predictors = ["tree", "genus", "features", "place", "script", "tokens"] as const;
/**
 * `tree`: share of the two paths in CLDR's tree of language groups that is not common, 0 … 1.
 * `genus`: 0 of one WALS genus, 1 of one family, 2 of two.
 * `features`: share of the WALS features known of both in which they differ.
 * `place`: great circle, km.
 * `script`: 0 of one, 1 of two.
 * `tokens`: Jensen–Shannon distance of the frequencies of the commonest tokens, 0 … 1.
 */
export type Predictor = (typeof predictors)[number];

/** What is known of a language. */
export interface Subject {
  language: Language;
  /** Shares of the commonest tokens among these, by token: sum 1. */
  tokens: ReadonlyMap<number, number>;
}

interface Measure {
  /** Is enough known of a language? */
  has(subject: Subject): boolean;
  /** NaN where not enough is known of the pair. */
  between(a: Subject, b: Subject): number;
}

/** Of what the table of languages tells. */
const by = (has: (language: Language) => boolean, between: (a: Language, b: Language) => number): Measure => ({
  has: ({ language }) => has(language),
  between: (a, b) => between(a.language, b.language),
});

/** Fewer features known of both say little of how alike two languages are. */
const fewestFeatures = 20;

export const measures: Record<Predictor, Measure> = {
  tree: by(({ family }) => family !== undefined, treeDistance),
  genus: by(
    ({ family, genus }) => family !== undefined && genus !== undefined,
    (a, b) => (a.family !== b.family ? 2 : a.genus !== b.genus ? 1 : 0),
  ),
  features: by(({ features = {} }) => Object.keys(features).length >= fewestFeatures, featureDistance),
  place: by(({ latitude, longitude }) => latitude !== undefined && longitude !== undefined, greatCircle),
  script: by(
    () => true,
    (a, b) => (a.script === b.script ? 0 : 1),
  ),
  tokens: { has: () => true, between: tokenDistance },
};

/**
 * 1 − 2 · common / (both lengths), paths from the family through its groups to the language: as paths in the tree are counted, but
 * families of deep and shallow trees alike have 1 between them.
 */
function treeDistance(a: Language, b: Language): number {
  const [p, q] = [a, b].map(({ family, groups, code }) => [family, ...groups, code]) as [string[], string[]];
  let common = 0;
  while (common < p.length && common < q.length && p[common] === q[common]) common++;
  return 1 - (2 * common) / (p.length + q.length);
}

function featureDistance({ features: a = {} }: Language, { features: b = {} }: Language): number {
  const shared = Object.keys(a).filter((feature) => feature in b);
  if (shared.length < fewestFeatures) return Number.NaN;
  return shared.filter((feature) => a[feature] !== b[feature]).length / shared.length;
}

/** Of the Earth as a sphere, km (IUGG mean radius). */
const radius = 6371.0088;

/** By the haversine formula. */
function greatCircle(a: Language, b: Language): number {
  const [lat1, lon1, lat2, lon2] = [a.latitude!, a.longitude!, b.latitude!, b.longitude!].map(
    (degrees) => (degrees * Math.PI) / 180,
  ) as [number, number, number, number];
  const h = Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin((lon2 - lon1) / 2) ** 2;
  return 2 * radius * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** As of routing vectors, of two sparse ones. */
function tokenDistance({ tokens: a }: Subject, { tokens: b }: Subject): number {
  // What only one has adds half a bit of its share.
  let divergence = 0;
  for (const [token, p] of a) {
    const q = b.get(token) ?? 0;
    const middle = (p + q) / 2;
    divergence += (p * Math.log2(p / middle) + (q > 0 ? q * Math.log2(q / middle) : 0)) / 2;
  }
  for (const [token, q] of b) if (!a.has(token)) divergence += q / 2;
  return Math.sqrt(Math.max(0, divergence));
}
