/** The test of the claim finds what was put into a made collection, and nothing where nothing is. */
import { expect, test } from "bun:test";
import type { Language } from "../../src/data/languages.ts";
import { testClaim } from "../../src/routing/claim.ts";
import type { Collection, LanguageRouting } from "../../src/routing/collection.ts";
import { distances } from "../../src/routing/distance.ts";
import { testName } from "../../src/routing/figures/claim-chart.ts";
import { findings } from "../../src/routing/findings.ts";
import { permutationsOf } from "../../src/routing/mantel.ts";
import { nearestOf, neighbourScore } from "../../src/routing/neighbours.ts";
import { measures, type Predictor } from "../../src/routing/predictors.ts";

const experts = 4;
const counts = (expert: number, extra: number) =>
  Array.from({ length: experts }, (_, e) => (e === expert ? 700 : 100) + (e === extra ? 7 : 0));

/** Layer 1 goes by script, layer 3 by family; what else differs is told by the label. */
function language(label: string, script: number, family: number, salt: number): LanguageRouting {
  const layers = [counts(script, salt % experts), counts(family, (salt >> 2) % experts)];
  const tokens = layers[0]!.reduce((a, b) => a + b);
  return {
    ...{ language: label, documents: 1, bytes: tokens, tokens },
    counts: layers,
    probability: layers.map((layer) => layer.map((count) => count / tokens)),
    entropy: [1, 1],
    favourites: layers.map((layer) => layer.map(() => [])),
    common: [
      [salt % 5, 3],
      [9, 1],
    ],
  };
}

/** 24 languages of 3 families, each in 2 scripts. */
const table = new Map<string, Language>();
const languages: LanguageRouting[] = [];
for (let i = 0; i < 24; i++) {
  const code = `q${String.fromCharCode(97 + i)}a`;
  const [family, script] = [i % 3, Math.floor(i / 3) % 2];
  const features = Object.fromEntries(Array.from({ length: 25 }, (_, f) => [`${f}A`, f < 5 ? i % 4 : family]));
  table.set(code, {
    code,
    name: code,
    script: script === 0 ? "Latn" : "Cyrl",
    family: `F${family}`,
    genus: `G${i % 6}`,
    groups: [`f${family}`, `g${i % 6}`],
    // Qaa alone lies nowhere, and of qba no features are known.
    ...(i > 0 && { latitude: 10 * family + i / 10, longitude: i }),
    ...(i !== 1 && { features }),
  });
  languages.push(language(code, script, family, i));
}
languages.push(language("qza", 0, 0, 1), language("qaa_Cyrl", 1, 0, 3));
languages.sort((a, b) => (a.language < b.language ? -1 : 1));
const collection: Collection = {
  ...{ format: 1, version: "0", model: { label: "made", identity: "0" }, texts: "none", experts },
  layers: [1, 3],
  languages,
};

test("layer by layer, with controls: family where family is, script where script is, nothing in what is shuffled", async () => {
  let told = 0;
  const claim = await testClaim(collection, table, { permutations: 500, progress: () => told++ });
  const all = claim.tests.length + claim.neighbours.length;
  expect(told).toBe(all);
  expect([claim.languages.length, claim.unknown, claim.doubles]).toEqual([24, ["qza"], ["qaa_Cyrl"]]);
  const found = (predictor: string, layer: number | null, controls: string[] = [], script: string | null = null) =>
    claim.tests.find(
      (t) =>
        [t.predictor, t.layer, t.script, t.correlation, t.metric, t.shuffled].join() ===
          [predictor, layer, script, "spearman", "js", false].join() && t.controls.join() === controls.join(),
    )!;
  expect(found("tree", 3).mantel!.r).toBeGreaterThan(0.6);
  expect(found("tree", 3).mantel!.p).toBeCloseTo(1 / 501, 12);
  const others = claim.tests.filter(
    ({ predictor, metric, controls }) => predictor === "tree" && metric !== "js" && controls.length === 0,
  );
  expect(others.map(({ metric }) => metric)).toEqual(["l1", "cosine"]);
  for (const { mantel } of others) expect(Math.abs(mantel!.r - found("tree", null).mantel!.r)).toBeLessThan(0.1);
  expect(found("tree", 3, ["script"]).mantel!.r).toBeGreaterThan(0.6);
  expect(Math.abs(found("tree", 1).mantel!.r)).toBeLessThan(0.15);
  expect(found("script", 1).mantel!.r).toBeGreaterThan(0.6);
  expect(found("script", 3).mantel!.r).toBeLessThan(0.15);
  expect(found("script", 1, ["tree"]).mantel!.r).toBeGreaterThan(0.6);
  expect(found("tree", null, [], "Latn").languages).toBe(12);
  // What is shuffled tells nothing.
  for (const { shuffled, mantel } of claim.tests) if (shuffled) expect(Math.abs(mantel!.r)).toBeLessThan(0.25);
  expect(found("features", null)).toMatchObject({ languages: 23, leftOut: ["qba"] });
  expect(found("place", null)).toMatchObject({ languages: 23, leftOut: ["qaa"] });
  expect(found("tree", null, ["script", "place"])).toMatchObject({ languages: 23, leftOut: ["qaa"] });
  const near = (of: string, layer: number | null) =>
    claim.neighbours.find((n) => n.of === of && n.layer === layer && n.script === null)!.score!;
  expect(near("family", 3)).toMatchObject({ scored: 24, share: 1 });
  expect(near("family", 3).p).toBeCloseTo(1 / 501, 12);
  // 7 of the other 23 are relatives.
  expect(Math.abs(near("family", 3).chance - 7 / 23)).toBeLessThan(0.03);
  expect(await testClaim(collection, table, { permutations: 500 })).toEqual(claim);
  const said = findings(claim);
  expect(said.filter((sentence) => /most with the routing/.test(sentence))).toEqual([
    expect.stringMatching(
      /^Script goes most with the routing of layer 1 \(Mantel's r 0\.\d+ in layer 1 and -?0\.\d+ in layer 3\)\.$/,
    ),
    expect.stringMatching(/^The family tree goes most with the routing of layer 3 \(/),
  ]);
});

test("a test's name lists what is taken away", () => {
  const tree = { predictor: "tree", correlation: "spearman", metric: "js", script: null, layer: null, shuffled: false };
  const named = (controls: Predictor[]) =>
    testName({ ...tree, controls, languages: 0, leftOut: [], mantel: null } as Parameters<typeof testName>[0]);
  expect(named([])).toBe("family tree");
  expect(named(["tokens", "script", "place"])).toBe(
    "family tree, less tokens in common, script and distance on the Earth",
  );
});

test("stops when told to", async () => {
  await expect(testClaim(collection, table, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
});

const plain = { name: "", script: "Latn", groups: [] };

test("predictors: by hand", () => {
  const german: Language = { ...plain, code: "deu", family: "ie", genus: "Germanic", groups: ["ine", "gmw"] };
  const dutch: Language = { ...german, code: "nld", latitude: 52.5, longitude: 6 };
  const hindi: Language = {
    ...plain,
    code: "hin",
    script: "Deva",
    family: "ie",
    genus: "Indic",
    groups: ["ine", "iir", "inc"],
  };
  const basque: Language = {
    ...plain,
    code: "eus",
    family: "Basque (isolate)",
    genus: "Basque",
    latitude: 43,
    longitude: -3,
  };
  const measure = (name: Predictor) => ({
    has: (language: Language) => measures[name].has({ language, tokens: new Map() }),
    between: (a: Language, b: Language) =>
      measures[name].between({ language: a, tokens: new Map() }, { language: b, tokens: new Map() }),
  });
  const [tree, genus, features] = [measure("tree"), measure("genus"), measure("features")];
  const [place, script] = [measure("place"), measure("script")];
  expect(tree.between(german, dutch)).toBeCloseTo(1 - 6 / 8, 12);
  expect(tree.between(german, hindi)).toBeCloseTo(1 - 4 / 9, 12);
  expect(tree.between(german, basque)).toBe(1);
  expect([genus.between(german, dutch), genus.between(dutch, hindi), genus.between(hindi, basque)]).toEqual([0, 1, 2]);
  expect([script.between(german, basque), script.between(german, hindi)]).toEqual([0, 1]);
  // A quarter of the way round the Earth.
  const [pole, equator] = [
    { ...basque, latitude: 90 },
    { ...basque, latitude: 0 },
  ];
  expect(place.between(pole, equator)).toBeCloseTo((Math.PI / 2) * 6371.0088, 6);
  expect(place.has(german)).toBe(false);
  const known = (value: number, from: number) => ({
    ...german,
    features: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i + from}A`, i < 15 ? value : 0])),
  });
  expect(features.between(known(1, 0), known(2, 0))).toBeCloseTo(0.5, 12);
  expect(features.between(known(1, 0), known(1, 20))).toBeNaN();
  const words = (...shares: [number, number][]) => ({ language: german, tokens: new Map(shares) });
  const { tokens } = measures;
  expect(tokens.between(words([1, 1]), words([2, 1]))).toBe(1);
  expect(tokens.between(words([1, 0.5], [2, 0.5]), words([2, 0.5], [3, 0.5]))).toBeCloseTo(Math.sqrt(0.5), 12);
  expect(tokens.between(words([1, 0.5], [2, 0.5]), words([1, 0.5], [2, 0.5]))).toBe(0);
});

test("neighbours: what has no relative is not scored; of equals the first is nearest", () => {
  const line = distances(5, (a, b) => Math.abs([0, 1, 10, 11, 30][a]! - [0, 1, 10, 11, 30][b]!));
  expect(Array.from(nearestOf(line))).toEqual([1, 0, 3, 2, 3]);
  const orders = permutationsOf(5, 300, 2n);
  expect(neighbourScore(line, ["a", "a", "b", "b", "c"], orders)).toMatchObject({ scored: 4, share: 1 });
  expect(neighbourScore(line, ["a", "b", "a", "b", "c"], orders)!.share).toBe(0);
  expect(neighbourScore(line, ["a", "b", "c", "d", "e"], orders)).toBeUndefined();
});
