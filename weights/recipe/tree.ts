/** Where a language stands among its relatives: the groups of ISO 639-5, from the narrowest to the family. */
import languageGroups from "cldr-core/supplemental/languageGroups.json" with { type: "json" };
import { iso6393, iso6393To1 } from "iso-639-3";

const groups: Record<string, string> = languageGroups.supplemental.languageGroups;
const parent = new Map<string, string>();
for (const [group, members] of Object.entries(groups)) {
  for (const member of members.split(" ")) if (group !== "mul" || !parent.has(member)) parent.set(member, group);
}

/** The group of languages that CLDR's tree leaves out, or has in a wrong one too. */
const corrected: Record<string, string> = {
  acq: "sem",
  aln: "ine",
  ast: "roa",
  bcc: "ira",
  bcl: "phi",
  bjn: "poz",
  bxr: "xgn",
  csb: "zlw",
  dty: "inc",
  diq: "ira",
  gom: "inc",
  hbs: "zls",
  hrx: "gmw",
  khw: "inc",
  kin: "bnt",
  kjh: "trk",
  mhr: "fiu",
  min: "poz",
  mlt: "sem",
  mwl: "roa",
  pbt: "ira",
  pnb: "inc",
  pol: "zlw",
  prs: "ira",
  rmq: "inc",
  sli: "gmw",
  sqi: "ine",
  stq: "gmw",
  tgl: "phi",
  vro: "fiu",
  wuu: "zhx",
};

/**
 * Groups that are no common descent: areas (the Caucasus, the Americas, New Guinea), families that few hold for one
 * (Altaic, Hokan, Khoisan), and kinds of language (creoles by their words' origin, constructed, signed).
 */
const notByDescent = new Set("art cai cau cpe cpf cpp crp hok khi mul nai paa sai sgn tut".split(" "));

const languageCodes = new Set(iso6393.flatMap(({ iso6391, iso6393 }) => (iso6391 ? [iso6391, iso6393] : [iso6393])));

/** @returns group codes above a label, for example `["gmw", "gem", "ine"]`; empty where CLDR has none */
export function familyPath(label: string): string[] {
  const code = label.split("_")[0]!;
  const path: string[] = [];
  let at = corrected[code] ?? parent.get(code) ?? parent.get(iso6393To1[code] ?? "");
  while (at && at !== "mul" && !path.includes(at)) {
    path.push(at);
    at = parent.get(at);
  }
  return path;
}

/** @returns groups of common descent around a language, widest first: `["ine", "gem", "gmw"]`; macrolanguages are no groups */
export function genealogy(code: string): string[] {
  const path = familyPath(code);
  const end = path.findIndex((group) => notByDescent.has(group));
  return path
    .slice(0, end < 0 ? undefined : end)
    .filter((group) => !languageCodes.has(group))
    .reverse();
}
