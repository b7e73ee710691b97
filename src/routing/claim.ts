/** The paper's claim put to the test: do languages that pass like experts belong together, and by what? */
import { type Language, languageOf } from "../data/languages.ts";
import type { Collection, LanguageRouting } from "./collection.ts";
import { among, type Distances, distances, type Metric, metrics, routingDistances } from "./distance.ts";
import { averageLinkage, copheneticCorrelation } from "./linkage.ts";
import { type Correlation, type Mantel, mantel, type Permutations, permutationsOf } from "./mantel.ts";
import { type NeighbourScore, neighbourScore } from "./neighbours.ts";
import { measures, type Predictor, type Subject } from "./predictors.ts";
import { layerOf, vectorsOf } from "./vectors.ts";

/** What is tested. */
export interface Test {
  predictor: Predictor;
  /** What is taken away from both before. */
  controls: readonly Predictor[];
  correlation: Correlation;
  /** Of the distances by routing. */
  metric: Metric;
  /** Transformer layer, 0-based; null: all layers of experts together. */
  layer: number | null;
  /** Only languages in this script. */
  script: string | null;
  /** A control that must find nothing: what is known of each language belongs to another one. */
  shuffled: boolean;
}

export interface TestResult extends Test {
  /** Languages of which enough is known. */
  languages: number;
  leftOut: string[];
  /** Null where there is nothing to test: too few languages, or no difference among them. */
  mantel: Mantel | null;
}

/** Nearest neighbours of one family, or of one genus. */
export interface Neighbours {
  of: "family" | "genus";
  layer: number | null;
  script: string | null;
  languages: number;
  leftOut: string[];
  score: NeighbourScore | null;
}

export interface Claim {
  permutations: number;
  seed: string;
  /** Languages that were tested, one label each. */
  languages: string[];
  /** Labels without metadata, and second labels of a language: another script, a dialect. */
  unknown: string[];
  doubles: string[];
  tests: TestResult[];
  neighbours: Neighbours[];
  /** Of the dendrogram of all labels of the collection, by average linkage. */
  cophenetic: number | null;
}

export interface ClaimOptions {
  permutations?: number;
  seed?: bigint;
  /** Called before each test. */
  progress?: (done: number, all: number) => void;
  signal?: AbortSignal;
}

/** Fewer languages are not tested. */
const fewestLanguages = 8;

/** A label of the collection and what is known of it. */
interface Known extends Subject {
  label: string;
  /** Among the collection's languages. */
  index: number;
}

/**
 * Mantel tests of distances between languages by routing against their distances by each predictor, with partial ones, per layer
 * and for all, and scores of nearest neighbours. The same collection, seed and table of languages give the same numbers.
 * @param table as `languages()` gives it
 * @throws DOMException AbortError after `signal`
 */
export async function testClaim(
  collection: Collection,
  table: ReadonlyMap<string, Language>,
  { permutations = 10_000, seed = 0n, progress, signal }: ClaimOptions = {},
): Promise<Claim> {
  const { known, unknown, doubles } = knownOf(collection, table);
  const script = commonest(known.map(({ language }) => language.script));
  const routing = routingOf(collection);
  const orders = permuter(permutations, seed);
  const given = predicted(known);
  const tests = testsOf(collection.layers, script);
  const scores = neighboursOf(collection.layers, script);
  const all = tests.length + scores.length;
  let done = 0;
  const next = async () => {
    // Signals and the screen have their turn.
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    progress?.(done++, all);
  };
  const results: TestResult[] = [];
  for (const test of tests) {
    await next();
    results.push(carriedOut(test, known, routing(test.layer, test.metric), given, orders));
  }
  const neighbours: Neighbours[] = [];
  for (const score of scores) {
    await next();
    neighbours.push(scored(score, known, routing(score.layer, "js"), orders));
  }
  const whole = routing(null, "js");
  return {
    permutations,
    seed: String(seed),
    languages: known.map(({ label }) => label),
    ...{ unknown, doubles },
    tests: results,
    neighbours,
    cophenetic: whole.size > 2 ? copheneticCorrelation(averageLinkage(whole), whole) : null,
  };
}

/** One label of each language that the table has, the shortest, which is the language in its usual script. */
function knownOf({ languages }: Collection, table: ReadonlyMap<string, Language>) {
  const known = new Map<string, Known>();
  const [unknown, doubles]: [string[], string[]] = [[], []];
  for (const [index, { language: label, common }] of languages.entries()) {
    const language = languageOf(table, label);
    if (!language) unknown.push(label);
    else if (known.has(language.code)) doubles.push(label);
    else known.set(language.code, { label, index, language, tokens: sharesAmong(common) });
  }
  return { known: [...known.values()], unknown, doubles };
}

function sharesAmong(common: LanguageRouting["common"]): Map<number, number> {
  const all = common.reduce((sum, [, count]) => sum + count, 0);
  return new Map(common.map(([token, count]) => [token, count / all]));
}

/** Distances over all layers (null), and in each. */
function routingOf(collection: Collection): (layer: number | null, metric: Metric) => Distances {
  const { layers, experts } = collection;
  const vectors = vectorsOf(collection);
  const found = new Map<string, Distances>();
  return (layer, metric) => {
    const part = layer === null ? vectors : layerOf(vectors, layers.indexOf(layer), experts);
    const key = `${layer} ${metric}`;
    let made = found.get(key);
    if (!made) found.set(key, (made = routingDistances(part, experts, metric)));
    return made;
  };
}

/** Distances among the known languages by each predictor; NaN where not enough is known. */
function predicted(known: readonly Known[]): (predictor: Predictor) => Distances {
  const found = new Map<Predictor, Distances>();
  return (predictor) => {
    const { between } = measures[predictor];
    let made = found.get(predictor);
    if (!made) found.set(predictor, (made = distances(known.length, (a, b) => between(known[a]!, known[b]!))));
    return made;
  };
}

/** Orders of any number of languages, drawn once. */
function permuter(count: number, seed: bigint): (size: number) => Permutations {
  const drawn = new Map<number, Permutations>();
  return (size) => {
    let found = drawn.get(size);
    if (!found) drawn.set(size, (found = permutationsOf(size, count, seed)));
    return found;
  };
}

function testsOf(layers: readonly number[], script: string): Test[] {
  const test = (predictor: Predictor, more: Partial<Test> = {}): Test => ({
    predictor,
    controls: [],
    correlation: "spearman",
    metric: "js",
    layer: null,
    script: null,
    shuffled: false,
    ...more,
  });
  const kinship = ["tree", "genus"] as const;
  const inherited = [...kinship, "features"] as const;
  const each = [...inherited, "place", "script", "tokens"] as const;
  return [
    ...each.map((predictor) => test(predictor)),
    ...each.map((predictor) => test(predictor, { correlation: "pearson" })),
    ...metrics.flatMap((metric) =>
      metric === "js" ? [] : [test("tree", { metric }), test("tree", { metric, controls: ["script", "place"] })],
    ),
    ...[...inherited, "place" as const].map((predictor) => test(predictor, { controls: ["script"] })),
    ...inherited.map((predictor) => test(predictor, { controls: ["script", "place"] })),
    test("script", { controls: ["tree"] }),
    // Relatives share words, and so tokens: what is left is what experts tell beyond them.
    ...inherited.map((predictor) => test(predictor, { controls: ["tokens"] })),
    test("tree", { controls: ["tokens", "script", "place"] }),
    test("tokens", { controls: ["tree"] }),
    ...[...inherited, "place" as const].map((predictor) => test(predictor, { script })),
    test("tree", { script, controls: ["tokens"] }),
    ...inherited.map((predictor) => test(predictor, { script, controls: ["place"] })),
    ...each.map((predictor) => test(predictor, { shuffled: true })),
    ...layers.flatMap((layer) => [
      test("tree", { layer }),
      test("script", { layer }),
      test("tree", { layer, controls: ["script"] }),
      test("tree", { layer, controls: ["script", "place"] }),
      test("script", { layer, controls: ["tree"] }),
      test("tokens", { layer }),
      test("tree", { layer, controls: ["tokens"] }),
      test("tree", { layer, script }),
    ]),
  ];
}

function neighboursOf(layers: readonly number[], script: string): Pick<Neighbours, "of" | "layer" | "script">[] {
  return [null, ...layers].flatMap((layer) =>
    [null, script].flatMap((one) => (["family", "genus"] as const).map((of) => ({ of, layer, script: one }))),
  );
}

function carriedOut(
  test: Test,
  known: readonly Known[],
  routing: Distances,
  given: (predictor: Predictor) => Distances,
  orders: (size: number) => Permutations,
): TestResult {
  const { predictor, controls, script, shuffled, correlation } = test;
  const needed = [predictor, ...controls];
  const asked = known.flatMap(({ language }, i) => (script === null || language.script === script ? [i] : []));
  const candidates = asked.filter((i) => needed.every((name) => measures[name].has(known[i]!)));
  const used = comparable(candidates, needed.map(given));
  const left = new Set(used);
  const leftOut = asked.flatMap((i) => (left.has(i) ? [] : [known[i]!.label]));
  const result = { ...test, languages: used.length, leftOut };
  if (used.length < fewestLanguages) return { ...result, mantel: null };
  const permutations = orders(used.length);
  const places = shuffled ? Array.from(permutations.orders[0]!, (i) => used[i]!) : used;
  const [y, ...z] = needed.map((name) => among(given(name), places));
  const x = among(
    routing,
    used.map((i) => known[i]!.index),
  );
  return { ...result, mantel: mantel(x, y!, permutations, correlation, z) ?? null };
}

/** Of some things, those left when the one with the most unknown distances goes, one after the other, until all are known. */
function comparable(some: readonly number[], matrices: readonly Distances[]): number[] {
  const rest = [...some];
  const unable = (a: number) =>
    rest.filter((b) => matrices.some(({ size, values }) => Number.isNaN(values[a * size + b]!))).length;
  for (;;) {
    const counts = rest.map(unable);
    const worst = Math.max(0, ...counts);
    if (worst === 0) return rest;
    rest.splice(counts.lastIndexOf(worst), 1);
  }
}

function scored(
  asked: Pick<Neighbours, "of" | "layer" | "script">,
  known: readonly Known[],
  routing: Distances,
  orders: (size: number) => Permutations,
): Neighbours {
  const inScript = known.filter(({ language }) => asked.script === null || language.script === asked.script);
  // A genus is told by its family too: some names stand in two.
  const labelOf = ({ family, genus }: Language) =>
    asked.of === "family" ? family : family !== undefined && genus !== undefined ? `${family}, ${genus}` : undefined;
  const used = inScript.filter(({ language }) => labelOf(language) !== undefined);
  const leftOut = inScript.flatMap(({ label, language }) => (labelOf(language) === undefined ? [label] : []));
  const result = { ...asked, languages: used.length, leftOut };
  if (used.length < fewestLanguages) return { ...result, score: null };
  const x = among(
    routing,
    used.map(({ index }) => index),
  );
  const labels = used.map(({ language }) => labelOf(language)!);
  return { ...result, score: neighbourScore(x, labels, orders(used.length)) ?? null };
}

/** The most frequent one, the first of equals. */
function commonest(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), ["", 0])[0];
}
