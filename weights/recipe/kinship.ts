/** Families and genera: as WALS has them, and for languages that it lacks as it has their nearest relatives in CLDR's tree. */
import type { WalsLanguage } from "./wals.ts";

type Groups = ReadonlyMap<string, readonly string[]>;

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

/** Creoles, pidgins and mixed languages have more than one ancestor. */
export function isCreole({ family }: WalsLanguage): boolean {
  return family === "other";
}

function ofWals(language: WalsLanguage): Kinship {
  const { family, genus } = language;
  if (isCreole(language)) return {};
  if (disputed.has(family)) return { family: genus, genus };
  return { family: isolates.has(family) ? `${family} (isolate)` : family, genus };
}

/** Genera, by WALS's names, of languages that it lacks and whose groups in CLDR's tree hold several. */
const generaByHand: Record<string, string> = {
  bew: "Malayo-Sumbawan",
  bjn: "Malayo-Sumbawan",
  cjk: "Bantoid",
  dzo: "Bodic",
  fuv: "Northern Atlantic",
  kmb: "Bantoid",
  lat: "Italic",
  nqo: "Western Mande",
  olo: "Finnic",
  rki: "Burmese-Lolo",
  tum: "Bantoid",
};

/**
 * @param groups by language, CLDR's groups around it, widest first
 * @param areas by language, the widest group or area around it in CLDR's tree, where it is in that
 * @returns the languages whose name is another language's in WALS: not one in ten of its family there is in its area, or not
 *   one in ten of its widest group is of that family
 */
export function mistaken(
  groups: Groups,
  areas: ReadonlyMap<string, string>,
  wals: ReadonlyMap<string, WalsLanguage>,
): string[] {
  const known = [...kinshipOf(wals)].flatMap(([code, { family }]) => {
    const area = areas.get(code);
    return family && area ? [{ code, family, area, group: groups.get(code)?.[0] }] : [];
  });
  return known.flatMap(({ code, family, area, group }) => {
    const kin = known.filter((one) => one.family === family);
    const near = known.filter((one) => group && one.group === group);
    const elsewhere = kin.filter((one) => one.area === area).length < 0.1 * kin.length;
    const stranger = near.filter((one) => one.family === family).length < 0.1 * near.length;
    return elsewhere || stranger ? [code] : [];
  });
}

/**
 * @param groups by language, CLDR's groups around it, widest first
 * @param wals by language, where it has one
 * @returns by language: WALS's; else of the narrowest group around it that WALS knows a language of: the family that nine
 *   in ten have, and the genus that all have
 */
export function relate(groups: Groups, wals: ReadonlyMap<string, WalsLanguage>): Map<string, Kinship> {
  const known = kinshipOf(wals);
  return new Map(
    [...groups].map(([code, path]) => {
      const around = [...path].reverse().map((group) => members(groups, known, group));
      const nearest = around.find((kin) => kin.length > 0) ?? [];
      const family = shared(nearest, "family", 0.9);
      const genus = generaByHand[code] ?? shared(nearest, "genus", 1);
      return [code, known.get(code) ?? { ...(family && { family }), ...(genus && { genus }) }];
    }),
  );
}

function kinshipOf(wals: ReadonlyMap<string, WalsLanguage>): Map<string, Kinship> {
  return new Map([...wals].map(([code, language]) => [code, ofWals(language)]));
}

/** What is known of a group's languages, but for those without a family. */
function members(groups: Groups, known: ReadonlyMap<string, Kinship>, group: string | undefined): Kinship[] {
  if (group === undefined) return [];
  return [...known].flatMap(([code, kinship]) =>
    kinship.family && groups.get(code)?.includes(group) ? [kinship] : [],
  );
}

/** What at least a share of `kin` have, or undefined. */
function shared(kin: readonly Kinship[], what: keyof Kinship, share: number): string | undefined {
  return kin
    .map((one) => one[what])
    .find((value, _, all) => all.filter((it) => it === value).length >= share * all.length);
}
