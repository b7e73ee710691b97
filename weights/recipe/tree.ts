/** Where a language stands among its relatives: the groups of ISO 639-5, from the narrowest to the family. */
import languageGroups from "cldr-core/supplemental/languageGroups.json" with { type: "json" };
import { iso6393To1 } from "iso-639-3";

const groups: Record<string, string> = languageGroups.supplemental.languageGroups;
const parent = new Map<string, string>();
for (const [group, members] of Object.entries(groups)) {
  for (const member of members.split(" ")) if (group !== "mul" || !parent.has(member)) parent.set(member, group);
}

/** Groups of languages that CLDR's tree leaves out. */
const missing: Record<string, string> = {
  aln: "ine",
  ast: "roa",
  bcc: "ira",
  bcl: "phi",
  bxr: "xgn",
  dty: "inc",
  gom: "inc",
  hbs: "zls",
  hrx: "gmw",
  khw: "inc",
  kin: "bnt",
  mhr: "fiu",
  min: "poz",
  mlt: "sem",
  pnb: "inc",
  sli: "gmw",
  sqi: "ine",
  stq: "gmw",
  tgl: "phi",
  vro: "fiu",
};

/** @returns group codes above a label, for example `["gmw", "gem", "ine"]`; empty where CLDR has none */
export function familyPath(label: string): string[] {
  const code = label.split("_")[0]!;
  const path: string[] = [];
  let at = parent.get(code) ?? parent.get(iso6393To1[code] ?? "") ?? missing[code];
  while (at && at !== "mul" && !path.includes(at)) {
    path.push(at);
    at = parent.get(at);
  }
  return path;
}
