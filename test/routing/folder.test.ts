/** Collections on disk, tables of tokens, and what differs between collections and languages. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { saveFile } from "../../src/base/atomic.ts";
import { TokenTable } from "../../src/routing/collect-tokens.ts";
import type { Collection, LanguageRouting } from "../../src/routing/collection.ts";
import { diffCollections, diffLanguages } from "../../src/routing/diff.ts";
import { readCollection, saveCollection } from "../../src/routing/folder.ts";
import { layerLoads, specificity, transposed, vectorsOf } from "../../src/routing/vectors.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-routing-"));
afterAll(() => rmSync(folder, { recursive: true }));

const language = (name: string, ...counts: number[][]): LanguageRouting => {
  const tokens = counts[0]!.reduce((a, b) => a + b);
  return {
    ...{ language: name, documents: 2, bytes: 3 * tokens, tokens, counts },
    probability: counts.map((layer) => layer.map((count) => count / tokens)),
    entropy: counts.map(() => Math.log(2)),
    favourites: counts.map((layer) => layer.map(() => [{ token: 7, text: "<E2>", count: 3, of: 4 }])),
    common: [[7, 4]],
  };
};

const collection: Collection = {
  ...{
    format: 1,
    version: "0.1.0",
    model: { label: "made", identity: "ab" },
    texts: "udhr",
    experts: 2,
    layers: [1, 3],
  },
  languages: [
    language("deu", [80, 20], [50, 50]),
    language("lin", [10, 0], [10, 0]),
    language("swa", [20, 80], [50, 50]),
    language("zul", [5, 5], [1, 9]),
  ],
};

test("a collection comes back as it was; one language stands on a line", async () => {
  const path = await saveCollection(folder, collection);
  expect(readCollection(folder)).toEqual(collection);
  expect(readCollection(path)).toEqual(collection);
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.filter((line) => line.startsWith('{"language":"swa"'))).toHaveLength(1);
});

test("what is no collection, or damaged, is refused with the reason", () => {
  const refused = (change: (c: Record<string, unknown>) => unknown, why: RegExp) => {
    const path = join(folder, "bad.json");
    writeFileSync(path, JSON.stringify(change(structuredClone(collection) as unknown as Record<string, unknown>)));
    expect(() => readCollection(path)).toThrow(why);
  };
  const first = (more: object) => (c: Record<string, unknown>) => ({
    ...c,
    languages: [{ ...collection.languages[0], ...more }],
  });
  refused((c) => ({ ...c, format: 2 }), /no collection of format 1/);
  refused(() => [], /no collection/);
  refused((c) => ({ ...c, model: "m" }), /no model/);
  refused((c) => ({ ...c, layers: [] }), /no layers/);
  refused((c) => ({ ...c, languages: [] }), /no languages/);
  refused((c) => ({ ...c, languages: [...collection.languages].reverse() }), /"swa" after "zul"/);
  refused(first({ tokens: 0 }), /deu: no counts/);
  refused(first({ counts: [[80, 20]] }), /deu: counts are not 2 layers of 2 experts/);
  refused(
    first({
      counts: [
        [80, 21],
        [50, 50],
      ],
    }),
    /do not add up to 100/,
  );
  refused(
    first({
      probability: [
        [2, 0],
        [1, 0],
      ],
    }),
    /probabilities/,
  );
  refused(first({ entropy: [1] }), /no entropy/);
  refused(
    first({
      favourites: [
        [[{}], []],
        [[], []],
      ],
    }),
    /no favourites/,
  );
  writeFileSync(join(folder, "bad.json"), "{");
  expect(() => readCollection(join(folder, "bad.json"))).toThrow(/not valid JSON/);
  expect(() => readCollection(join(folder, "none"))).toThrow(/no such file/);
});

test("the table of tokens: the paper's columns, frames end to end", async () => {
  const path = join(folder, "tokens.tsv.zst");
  // Enough for several frames.
  const ids = Uint32Array.from({ length: 300_000 }, (_, i) => i % 1000);
  await saveFile(path, (output) => {
    const table = new TokenTable(output, 2);
    table.add({
      language: "swa",
      row: 0,
      ids: Uint32Array.of(5, 6),
      experts: [Uint32Array.of(1, 0), Uint32Array.of(3, 2)],
    });
    table.add({ language: "deu", row: 4, ids, experts: [ids, ids] });
    table.end();
  });
  const lines = zstdDecompressSync(readFileSync(path)).toString().split("\n");
  expect(lines.slice(0, 4)).toEqual([
    "lang\trow\ttoken\texpert_layer_0\texpert_layer_1",
    "swa\t0\t5\t1\t3",
    "swa\t0\t6\t0\t2",
    "deu\t4\t0\t0\t0",
  ]);
  expect(lines).toHaveLength(1 + 2 + ids.length + 1);
});

test("vectors, specificity and load by hand", () => {
  const vectors = vectorsOf(collection);
  expect(vectors.map((v) => Array.from(v))).toEqual([
    [0.8, 0.2, 0.5, 0.5],
    [1, 0, 1, 0],
    [0.2, 0.8, 0.5, 0.5],
    [0.5, 0.5, 0.1, 0.9],
  ]);
  expect(Array.from(transposed(vectors)[3]!)).toEqual([0.5, 0, 0.5, 0.9]);
  expect(specificity(collection, vectors)).toEqual([
    [
      { expert: 1, share: 0.8, language: "swa" },
      { expert: 0, share: 1, language: "lin" },
    ],
    [
      { expert: 1, share: 0.9, language: "zul" },
      { expert: 0, share: 1, language: "lin" },
    ],
  ]);
  const [first] = layerLoads(collection);
  const shares = [115 / 220, 105 / 220];
  expect(first!.shares).toEqual(shares);
  expect(first!.evenness).toBeCloseTo(-shares.reduce((sum, s) => sum + s * Math.log2(s), 0), 12);
  expect([first!.layer, first!.largest]).toEqual([1, 115 / 220]);
  expect(first!.gate).toBeCloseTo(1, 12);
});

test("two languages: experts by how much their shares differ", () => {
  const { distance, layers, experts } = diffLanguages(collection, "deu", "swa");
  expect(experts.slice(0, 2)).toEqual([
    { layer: 1, expert: 0, shares: [0.8, 0.2] },
    { layer: 1, expert: 1, shares: [0.2, 0.8] },
  ]);
  expect(layers[1]).toEqual({ layer: 3, distance: 0 });
  expect(distance).toBeCloseTo(layers[0]!.distance / Math.SQRT2, 12);
  expect(() => diffLanguages(collection, "deu", "xxx")).toThrow(/no language xxx/);
});

test("two collections: languages that moved, those of one alone, whether both arrange them alike", () => {
  const languages = [
    ...collection.languages.slice(0, 3),
    language("zul", [5, 5], [9, 1]),
    language("zza", [1, 0], [1, 0]),
  ];
  const late: Collection = { ...collection, model: { label: "late", identity: "cd" }, languages };
  const found = diffCollections(collection, late, 200);
  expect(found.languages[0]).toMatchObject({ language: "zul" });
  expect(found.languages[0]!.layers[0]).toBe(0);
  expect(found.languages.slice(1).map(({ distance }) => distance)).toEqual([0, 0, 0]);
  expect(found.mean).toBeCloseTo(found.languages[0]!.distance / 4, 12);
  expect([found.onlyFirst, found.onlySecond, found.sameModel]).toEqual([[], ["zza"], false]);
  expect(found.arrangement!.r).toBeLessThan(1);
  // Experts that are numbered otherwise move every language, and arrange them as before.
  const renumbered = {
    ...collection,
    languages: collection.languages.map((l) => ({ ...l, counts: l.counts.map((layer) => layer.toReversed()) })),
  };
  const other = diffCollections(collection, renumbered, 200);
  expect(other.mean).toBeGreaterThan(0.3);
  expect(other.arrangement!.r).toBeCloseTo(1, 12);
  expect(() => diffCollections(collection, { ...late, layers: [1, 5] })).toThrow(/not comparable/);
  expect(() => diffCollections(collection, { ...late, languages: [languages[4]!] })).toThrow(/no language is in both/);
});
