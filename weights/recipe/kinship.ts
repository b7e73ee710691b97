/** Families and genera: as WALS has them, and for languages that it lacks as it has their nearest relatives in CLDR's tree. */
import type { WalsLanguage } from "./wals.ts";

export interface Kinship {
  family?: string;
  genus?: string;
}

/** Families of WALS that few hold for one: their genera stand for them. CLDR's groups of that name are left out too. */
const disputed = new Set(["Altaic", "Hokan", "Khoisan", "Penutian"]);

/** Families of one language, as its own, with no relative that linguists agree on. */
const isolates = new Set(
  (
    "Aikaná|Ainu|Andoke|Bangime|Basque|Beothuk|Burushaski|Camsá|Candoshi|Cayuvava|Chitimacha|Cofán|Hadza|Itonama|Karok|" +
    "Korean|Kuot|Kusunda|Kutenai|Kwaza|Laal|Movima|Nahali|Natchez|Nivkh|Puinave|Sulka|Tarascan|Ticuna|Tonkawa|Trumai|" +
    "Tunica|Urarina|Waorani|Warao|Washo|Yele|Yuchi|Yuracare|Yámana|Zuni"
  ).split("|"),
);

/** Family and genus of a language of WALS; none of creoles, which have more than one ancestor. */
function ofWals({ family, genus }: WalsLanguage): Kinship {
  if (family === "other") return {};
  if (disputed.has(family)) return { family: genus, genus };
  return { family: isolates.has(family) ? `${family} (isolate)` : family, genus };
}

/**
 * @param groups by language, CLDR's groups around it, widest first
 * @param wals by language, where it has one; a match of names whose family is not that of nearly all its relatives is
 *   taken out of it, as the name must be another language's
 * @returns by language: WALS's; else the family and the genus that all languages of WALS in the narrowest group around it
 *   share. A genus is never taken from a group that holds several
 */
export function relate(
  groups: ReadonlyMap<string, readonly string[]>,
  wals: Map<string, WalsLanguage>,
): { kinship: Map<string, Kinship>; mistaken: string[] } {
  const known = new Map([...wals].map(([code, language]) => [code, ofWals(language)]));
  const mistaken = [...known.keys()].filter((code) => {
    const family = known.get(code)!.family;
    const kin = members(groups, known, groups.get(code)?.[0]).filter((other) => other.family);
    return family && kin.filter((other) => other.family === family).length < 0.1 * kin.length;
  });
  for (const code of mistaken) {
    known.delete(code);
    wals.delete(code);
  }
  const kinship = new Map<string, Kinship>();
  for (const [code, path] of groups) {
    const own = known.get(code);
    if (own) {
      kinship.set(code, own);
      continue;
    }
    const around = [...path].reverse().map((group) => members(groups, known, group));
    const nearest = around.find((kin) => kin.length > 0) ?? [];
    const family = shared(nearest, "family");
    const genus = shared(nearest, "genus");
    kinship.set(code, { ...(family && { family }), ...(genus && { genus }) });
  }
  return { kinship, mistaken };
}

function members(
  groups: ReadonlyMap<string, readonly string[]>,
  known: ReadonlyMap<string, Kinship>,
  group: string | undefined,
): Kinship[] {
  if (group === undefined) return [];
  return [...known].filter(([code]) => groups.get(code)?.includes(group)).map(([, kinship]) => kinship);
}

/** What all of `kin` have, or undefined. */
function shared(kin: readonly Kinship[], what: keyof Kinship): string | undefined {
  const [first] = kin;
  return first && kin.every((one) => one[what] === first[what]) ? first[what] : undefined;
}
