/** The recipe of the table of languages: R's files, WALS's names and families, CLDR's tree. */
import { expect, test } from "bun:test";
import { mistaken, relate } from "../../weights/recipe/kinship.ts";
import { parseRda } from "../../weights/recipe/rda.ts";
import { familyPath, genealogy } from "../../weights/recipe/tree.ts";
import { readWals, type WalsLanguage } from "../../weights/recipe/wals.ts";
import { matchWals } from "../../weights/recipe/wals-codes.ts";

/** Writes what R's `save` does. */
class Stream {
  readonly bytes: number[] = [..."RDX3\nX\n"].map((c) => c.charCodeAt(0));
  private readonly symbols: string[] = [];

  word(value: number): this {
    this.bytes.push((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
    return this;
  }

  text(value: string | null): this {
    this.word(9).word(value === null ? -1 : Buffer.byteLength(value));
    this.bytes.push(...Buffer.from(value ?? ""));
    return this;
  }

  /** A name is written once; later it is a reference. */
  symbol(name: string): this {
    const at = this.symbols.indexOf(name);
    if (at >= 0) return this.word(((at + 1) << 8) | 255);
    this.symbols.push(name);
    return this.word(1).text(name);
  }

  attributes(all: Record<string, readonly string[]>): this {
    for (const [name, values] of Object.entries(all)) this.word(0x402).symbol(name).strings(values);
    return this.word(254);
  }

  strings(values: readonly (string | null)[]): this {
    this.word(16).word(values.length);
    for (const value of values) this.text(value);
    return this;
  }

  factor(values: readonly (number | null)[], levels: readonly string[]): this {
    this.word(0x20d).word(values.length);
    for (const value of values) this.word(value ?? -(2 ** 31));
    return this.attributes({ levels });
  }

  reals(values: readonly number[]): this {
    this.word(14).word(values.length);
    for (const value of values) {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, value);
      this.bytes.push(...new Uint8Array(view.buffer));
    }
    return this;
  }
}

/** Two languages and one feature, as the package has WALS: `wals <- list(data = …, meta = …)`. */
function tinyWals(): Uint8Array {
  const file = new Stream().word(3).word(0).word(0).word(5);
  file.bytes.push(...Buffer.from("UTF-8"));
  file.word(0x402).symbol("wals").word(0x213).word(2);
  file.word(0x213).word(1).factor([2, null], ["1 Small", "12 Large one"]);
  file.attributes({ names: ["X1A.Consonant.Inventories"], "row.names": ["ger", "xyz"] });
  file.word(0x213).word(5).strings(["Émérillon", "Nowhere (Upper)"]);
  file.factor([1, 2], ["Germanic", "Turkic"]).factor([2, 1], ["Altaic", "Indo-European"]);
  file.reals([10.5, -3]).reals([52, 0.25]);
  file.attributes({ names: ["name", "genus", "family", "longitude", "latitude"], "row.names": ["ger", "xyz"] });
  file.attributes({ names: ["data", "meta"] }).word(254);
  return new Uint8Array(file.bytes);
}

test(".rda: names that come back, levels, what is missing, lists in lists", () => {
  expect(readWals(parseRda(tinyWals()).wals!)).toEqual({
    features: ["1A"],
    languages: [
      {
        code: "ger",
        name: "Émérillon",
        genus: "Germanic",
        family: "Indo-European",
        latitude: 52,
        longitude: 10.5,
        features: "c",
      },
      {
        code: "xyz",
        name: "Nowhere (Upper)",
        genus: "Turkic",
        family: "Altaic",
        latitude: 0.25,
        longitude: -3,
        features: ".",
      },
    ],
  });
});

test(".rda: what is none, is cut, or holds a function is refused", () => {
  const whole = tinyWals();
  expect(() => parseRda(new TextEncoder().encode("RDA3\nA\nno"))).toThrow("not an .rda file");
  for (const length of [8, 30, 100, whole.length - 1])
    expect(() => parseRda(whole.subarray(0, length))).toThrow(`cut at ${length}`);
  const closure = new Stream().word(2).word(0).word(0).word(0x402).symbol("f").word(3);
  expect(() => parseRda(new Uint8Array(closure.bytes))).toThrow("type 3 at byte");
  expect(() => readWals({ values: [], attributes: {} })).toThrow("not there");
});

const language = (name: string, family: string, genus: string, code = name): WalsLanguage => ({
  ...{ code, name, family, genus, latitude: 0, longitude: 0, features: "" },
});

test("names match without marks and in either order, and by hand", () => {
  const wals = [language("Arabic (Egyptian)", "", ""), language("Baulé", "", "", "ble"), language("Guaraní", "", "")];
  const found = matchWals(
    new Map([
      ["arz", "Egyptian Arabic"],
      ["bci", "Baoulé"],
      ["grn", "Guarani"],
      ["bew", "Guarani"],
    ]),
    wals,
  );
  expect([...found].map(([code, { name }]) => `${code} ${name}`)).toEqual([
    "arz Arabic (Egyptian)",
    "bci Baulé",
    "grn Guaraní",
  ]);
  expect(() => matchWals(new Map([["ace", "Achinese"]]), wals)).toThrow("no language ace");
});

test("a language that WALS lacks is of its nearest relatives' family, and of their genus if all have it", () => {
  const groups = new Map([
    ["deu", ["ine", "gmw"]],
    ["eng", ["ine", "gmw"]],
    ["ell", ["ine", "grk"]],
    ["hat", ["ine", "gmw"]],
    ["sco", ["ine", "gmw"]],
    ["hit", ["ine"]],
    ["tur", ["trk"]],
    ["eus", []],
    ["xxx", []],
  ]);
  const wals = new Map([
    ["deu", language("German", "Indo-European", "Germanic")],
    ["eng", language("English", "Indo-European", "Germanic")],
    ["ell", language("Greek", "Indo-European", "Greek")],
    ["hat", language("Haitian", "other", "Creoles and Pidgins")],
    ["tur", language("Turkish", "Altaic", "Turkic")],
    ["eus", language("Basque", "Basque", "Basque")],
  ]);
  expect(Object.fromEntries(relate(groups, wals))).toEqual({
    deu: { family: "Indo-European", genus: "Germanic" },
    eng: { family: "Indo-European", genus: "Germanic" },
    ell: { family: "Indo-European", genus: "Greek" },
    hat: {},
    sco: { family: "Indo-European", genus: "Germanic" },
    hit: { family: "Indo-European" },
    tur: { family: "Turkic", genus: "Turkic" },
    eus: { family: "Basque (isolate)", genus: "Basque" },
    xxx: {},
  });
});

test("a namesake is found out by where its family is, and by what family its group is", () => {
  const codes = [..."abcdefghijk"];
  const wals = new Map([...codes, "mor", "pwa"].map((code) => [code, language(code, "Austronesian", "Oceanic")]));
  wals.set("eus", language("Basque", "Basque", "Basque")).set("bis", language("Bis", "Chibchan", "Rama"));
  const groups = new Map([...codes, "bis"].map((code) => [code, ["map"]]));
  const areas = new Map([
    ...codes.map((code) => [code, "map"] as const),
    ["mor", "paa"],
    ["eus", "euq"],
    ["bis", "map"],
  ]);
  expect(mistaken(groups, areas, wals)).toEqual(["mor", "bis"]);
});

test("a genealogy ends where areas and creoles begin", () => {
  expect(familyPath("kjh")).toEqual(["trk", "tut"]);
  expect(genealogy("kjh")).toEqual(["trk"]);
  expect(genealogy("kat")).toEqual(["ccs"]);
  expect(familyPath("hat")).toContain("ine");
  expect(genealogy("hat")).toEqual([]);
  expect(genealogy("epo")).toEqual([]);
});
