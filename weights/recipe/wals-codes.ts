/** Which languages of WALS and of ISO 639-3 are the same: WALS has codes and spellings of its own. */
import { DataError } from "../../src/base/errors.ts";
import type { WalsLanguage } from "./wals.ts";

/** WALS code by ISO 639-3 code where the names differ; `null` where WALS means another or sees it as no relative of its kin. */
const byHand: Record<string, string | null> = {
  ace: "ace",
  acm: "arq",
  ajp: "apa",
  als: "alb",
  apc: "anl",
  ara: "ams",
  ava: "ava",
  azb: "azi",
  bar: "gba",
  bci: "ble",
  bcl: "bkl",
  bel: "blr",
  bem: "bem",
  // WALS counts Betawi as a creole, CLDR as Malayic.
  bew: null,
  bod: "tib",
  bos: "scr",
  brx: "bod",
  bug: "bug",
  bxr: "but",
  cak: "cak",
  dik: "din",
  diq: "zaz",
  doi: "dgi",
  fon: "fon",
  frr: "fno",
  ful: "fni",
  gla: "gae",
  gsw: "gzu",
  hat: "hcr",
  hbs: "scr",
  heb: "heb",
  hrv: "scr",
  hye: "arm",
  iku: "iql",
  ilo: "ilo",
  kac: "jng",
  kal: "grw",
  kam: "kba",
  kau: "knr",
  kok: "kkn",
  kom: "kzy",
  ksh: "grp",
  kur: "kji",
  lez: "lez",
  lim: "dli",
  lrc: "lur",
  ltz: "lux",
  lua: "cil",
  lug: "lda",
  luo: "luo",
  lus: "miz",
  mdf: "mmo",
  mhr: "mme",
  mni: "mei",
  mon: "kha",
  mos: "moo",
  mrj: "mah",
  myv: "moe",
  nah: "nhc",
  nbl: "ndb",
  new: "new",
  nno: "nor",
  nob: "nor",
  nso: "stn",
  nya: "cic",
  orm: "orh",
  oss: "oss",
  pam: "kpm",
  pap: "pap",
  // WALS's Piro is Arawakan, its Pare Bantu.
  pie: null,
  pms: "itu",
  ppt: null,
  pus: "psh",
  que: "qcu",
  roh: "rmc",
  ses: "kse",
  slv: "slo",
  sme: "sno",
  sot: "ses",
  srp: "scr",
  taq: "tsk",
  tyv: "tuv",
  tzm: "bma",
  uig: "uyg",
  war: "wwy",
  wuu: "wuc",
  yue: "cnt",
  zho: "mnd",
  zza: "zaz",
};

/**
 * The language of WALS for each of ISO 639-3 that has one: by hand, else the one with the same name, "Arabic (Egyptian)" for
 * "Egyptian Arabic".
 * @param languages name by code
 */
export function matchWals(
  languages: ReadonlyMap<string, string>,
  wals: readonly WalsLanguage[],
): Map<string, WalsLanguage> {
  const byCode = new Map(wals.map((language) => [language.code, language]));
  const byName = new Map<string, WalsLanguage>();
  for (const language of wals) {
    byName.set(letters(language.name), language);
    const qualified = /^(.*) \((.*)\)$/.exec(language.name);
    if (qualified) byName.set(letters(`${qualified[2]} ${qualified[1]}`), language);
  }
  const found = new Map<string, WalsLanguage>();
  for (const [code, name] of languages) {
    const chosen = byHand[code];
    const language = chosen === undefined ? byName.get(letters(name)) : byCode.get(chosen ?? "");
    if (chosen && !language) throw new DataError("wals.code", `WALS has no language ${chosen}, meant for ${code}`);
    if (language) found.set(code, language);
  }
  return found;
}

/** A name as it is compared: small Latin letters without marks. */
function letters(name: string): string {
  return name
    .normalize("NFD")
    .toLowerCase()
    .replace(/[^a-z]/g, "");
}
