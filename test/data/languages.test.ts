/** The table of languages against what linguists agree on, and labels of every form that corpora use. */
import { expect, test } from "bun:test";
import { embeddedLanguages } from "../../src/base/embedded.ts";
import { codeOf, languageOf, languages } from "../../src/data/languages.ts";
import { declaration } from "../../src/evaluate/declaration.ts";
import { fits, scriptOf } from "../../weights/recipe/scripts.ts";

const all = await languages();

/** Family, genus, script, the narrowest group, and a place no further than ten degrees from the language's own. */
const known: Record<string, [string, string, string, string | undefined, number, number]> = {
  amh: ["Afro-Asiatic", "Semitic", "Ethi", "sem", 9, 39],
  ara: ["Afro-Asiatic", "Semitic", "Arab", "sem", 24, 45],
  bod: ["Sino-Tibetan", "Bodic", "Tibt", "sit", 30, 91],
  bre: ["Indo-European", "Celtic", "Latn", "cel", 48, -3],
  cak: ["Mayan", "Mayan", "Latn", "myn", 15, -91],
  che: ["Nakh-Daghestanian", "Nakh", "Cyrl", undefined, 43, 46],
  deu: ["Indo-European", "Germanic", "Latn", "gmw", 52, 10],
  ell: ["Indo-European", "Greek", "Grek", "grk", 39, 22],
  eus: ["Basque (isolate)", "Basque", "Latn", "euq", 43, -3],
  fas: ["Indo-European", "Iranian", "Arab", "ira", 32, 54],
  fin: ["Uralic", "Finnic", "Latn", "fiu", 62, 25],
  fur: ["Indo-European", "Romance", "Latn", "roa", 46, 13],
  grn: ["Tupian", "Tupi-Guaraní", "Latn", "tup", -25, -57],
  hin: ["Indo-European", "Indic", "Deva", "inc", 25, 77],
  hun: ["Uralic", "Ugric", "Latn", "fiu", 47, 19],
  hye: ["Indo-European", "Armenian", "Armn", "ine", 40, 45],
  jpn: ["Japanese", "Japanese", "Jpan", "jpx", 36, 138],
  kat: ["Kartvelian", "Kartvelian", "Geor", "ccs", 42, 44],
  khm: ["Austro-Asiatic", "Khmer", "Khmr", "mkh", 12, 105],
  kor: ["Korean (isolate)", "Korean", "Kore", undefined, 37, 128],
  mlg: ["Austronesian", "Barito", "Latn", "poz", -20, 47],
  mon: ["Mongolic", "Mongolic", "Cyrl", "xgn", 47, 105],
  nqo: ["Niger-Congo", "Western Mande", "Nkoo", "dmn", 10, -9],
  oci: ["Indo-European", "Romance", "Latn", "roa", 44, 2],
  pol: ["Indo-European", "Slavic", "Latn", "zlw", 52, 20],
  que: ["Quechuan", "Quechuan", "Latn", "qwe", -13, -72],
  sah: ["Turkic", "Turkic", "Cyrl", "trk", 62, 130],
  sat: ["Austro-Asiatic", "Munda", "Olck", "mun", 24, 87],
  ses: ["Nilo-Saharan", "Songhay", "Latn", "son", 16, 0],
  swa: ["Niger-Congo", "Bantoid", "Latn", "bnt", -6, 39],
  tam: ["Dravidian", "Southern Dravidian", "Taml", "dra", 11, 78],
  tgl: ["Austronesian", "Greater Central Philippine", "Latn", "phi", 15, 121],
  tha: ["Tai-Kadai", "Kam-Tai", "Thai", "tai", 15, 101],
  tur: ["Turkic", "Turkic", "Latn", "trk", 39, 35],
  xmf: ["Kartvelian", "Kartvelian", "Geor", "ccs", 42, 42],
  yid: ["Indo-European", "Germanic", "Hebr", "gmw", 52, 23],
  zho: ["Sino-Tibetan", "Chinese", "Hans", "zhx", 34, 110],
  zul: ["Niger-Congo", "Bantoid", "Latn", "bnt", -29, 31],
};

test.each(Object.entries(known))("%s", (code, [family, genus, script, group, latitude, longitude]) => {
  const language = all.get(code)!;
  expect({ ...language, groups: language.groups.at(-1) }).toMatchObject({ family, genus, script, groups: group });
  expect(Math.abs(language.latitude! - latitude)).toBeLessThan(10);
  expect(Math.abs(language.longitude! - longitude)).toBeLessThan(10);
});

test("a group goes from the widest to the narrowest, and an area is none", () => {
  expect(all.get("deu")!.groups).toEqual(["ine", "gem", "gmw"]);
  expect(all.get("tur")!.groups).toEqual(["trk"]);
  const groups = new Set(all.values().flatMap((language) => language.groups));
  for (const area of ["cai", "cau", "mul", "nai", "paa", "sai", "tut", "cpf", "art"])
    expect(groups).not.toContain(area);
});

test("constructed languages and creoles have no family", () => {
  for (const code of ["epo", "ina", "ido", "hat", "cbk", "tpi"]) {
    expect(all.get(code)).toMatchObject({ groups: [] });
    expect(all.get(code)!.family).toBeUndefined();
  }
  expect(all.get("epo")!.latitude).toBeUndefined();
});

test("every language of the Declaration is here, in the script of its text, nearly all with a family and a genus", async () => {
  const documents = await declaration();
  const found = documents.map(({ language }) => languageOf(all, language)!);
  documents.forEach(({ language, text }, i) => {
    expect(codeOf(all, language)).toBe(language);
    expect({ language, fits: fits(scriptOf(text)?.replace("Hani", found[i]!.script), found[i]!.script) }).toEqual({
      language,
      fits: true,
    });
  });
  expect(found.filter(({ family, genus }) => family && genus).length / found.length).toBeGreaterThan(0.95);
});

test("every row is sound", () => {
  for (const [code, language] of all) {
    expect(code).toMatch(/^[a-z]{3}$/);
    expect(language.script).toMatch(/^[A-Z][a-z]{3}$/);
    expect(language.name).toMatch(/^[^(]*( \(\D+\))?$/);
    expect(language.family).not.toBe("");
    expect(Math.abs(language.latitude ?? 0)).toBeLessThanOrEqual(90);
    expect(Math.abs(language.longitude ?? 0)).toBeLessThanOrEqual(180);
  }
  expect(all.size).toBeGreaterThan(5000);
});

test("features are WALS's values by number", () => {
  // Order of subject, object and verb: German has none that dominates (7), Japanese ends in the verb (1), Irish begins with it (3).
  const order = ["deu", "jpn", "gle", "eng"].map((code) => all.get(code)!.features!["81A"]);
  expect(order).toEqual([7, 1, 3, 2]);
  expect(all.get("epo")!.features).toBeUndefined();
  expect(Object.keys(all.get("eng")!.features!).length).toBeGreaterThan(100);
});

test.each([
  ["sw", "swa"],
  ["swh_Latn", "swa"],
  ["zh", "zho"],
  ["zh-Hant", "zho_Hant"],
  ["zh_TW", "zho_Hant"],
  ["zh-CN", "zho"],
  ["zho_Hant", "zho_Hant"],
  ["sr-Latn", "srp_Latn"],
  ["sr", "srp"],
  ["srp_Cyrl", "srp"],
  ["pt-BR", "por"],
  ["es-419", "spa"],
  ["ory_Orya", "ori"],
  ["mni_Beng", "mni_Beng"],
  ["nap_tara", "nap_tara"],
  ["be-tarask", "bel_tarask"],
  ["ger", "deu"],
])("%s is labelled %s", (tag, label) => {
  expect(codeOf(all, tag)).toBe(label);
});

test("a label's script is the language's, in any form of the label", () => {
  expect(languageOf(all, "srp")).toBe(all.get("srp")!);
  expect(languageOf(all, "sr-Latn")).toEqual({ ...all.get("srp")!, script: "Latn" });
  expect(languageOf(all, "bel_tarask")).toBe(all.get("bel")!);
  expect(languageOf(all, "zh-TW")).toMatchObject({ code: "zho", script: "Hant" });
});

test("what is no language of the table is undefined", () => {
  for (const tag of ["und", "xx", "", "notes", "qqq"]) expect(languageOf(all, tag)).toBeUndefined();
});

test("the table is small", () => {
  expect(Bun.file(embeddedLanguages()!).size).toBeLessThan(150_000);
});
