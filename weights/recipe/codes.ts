/** From the locale codes of programs to ISO 639-3, with a suffix for a second script or standard. */
import { iso6393 } from "iso-639-3";

/** Codes that no list resolves, or not as their users mean them. `null`: no language of its own. Lower case, `-` throughout. */
const exceptions: Record<string, string | null> = {
  "map-bms": "jav_bms",
  "nds-nl": "nds_nl",
  "roa-tara": "nap_tara",
  "cbk-zam": "cbk",
  sh: "hbs",
  "be-tarask": "bel_tarask",
  "zh-tw": "zho_Hant",
  "zh-hk": "zho_Hant",
  "zh-hant": "zho_Hant",
  "sr-el": "srp_Latn",
  "sr-latn": "srp_Latn",
  "sr@latin": "srp_Latn",
  "sr@ijekavianlatin": "srp_Latn",
  "kk-arab": "kaz_Arab",
  "kk-latn": "kaz_Latn",
  "ku-arab": "ckb",
  "ku-iq": "ckb",
  "ks-deva": "kas_Deva",
  "tt-latn": "tat_Latn",
  "ug-latn": "uig_Latn",
  "uz@cyrillic": "uzb_Cyrl",
  "crh-cyrl": "crh_Cyrl",
  "crh-ro": "crh_ro",
  "tg-latn": "tgk_Latn",
  "ike-latn": "iku_Latn",
  "ms-arab": "msa_Arab",
  "gom-latn": "gom_Latn",
  "gan-hans": "gan_Hans",
  "hak-latn": "hak_Latn",
  "cdo-hant": "cdo_Hant",
  "nan-hant": "nan_Hant",
  "nan-latn-tailo": "nan_tailo",
  "aeb-latn": "aeb_Latn",
  "cpx-hant": "cpx_Hant",
  "cpx-hans": "cpx_Hans",
  "wuu-hant": "wuu_Hant",
  "ruq-cyrl": "ruq_Cyrl",
  mo: "ron_Cyrl",
  "sat@deva": "sat_Deva",
  "sd@deva": "snd_Deva",
  "ks@deva": "kas_Deva",
  "mni@beng": "mni_Beng",
  "kok@latin": "kok_Latn",
  "be@latin": "bel_Latn",
  diq: "zza",
  eml: "egl",
  "isv-latn": null,
  "isv-cyrl": null,
  son: "ses",
  qqq: null,
};

/** Individual languages that sources also call by their macrolanguage's code, folded so that they agree. */
const folds: Record<string, string> = {
  ekk: "est",
  lvs: "lav",
  khk: "mon",
  pes: "fas",
  arb: "ara",
  zsm: "msa",
  zlm: "msa",
  azj: "aze",
  uzn: "uzb",
  plt: "mlg",
  swh: "swa",
  cmn: "zho",
  ydd: "yid",
  npi: "nep",
  ory: "ori",
  gug: "grn",
  kmr: "kur",
  pbu: "pus",
  nor: "nob",
  fil: "tgl",
  knn: "kok",
  dgo: "doi",
  nhn: "nah",
  mol: "ron",
  twi: "aka",
  gaz: "orm",
  ike: "iku",
  ayr: "aym",
  fuc: "ful",
  fuf: "ful",
  fuv: "ful",
  als: "sqi",
  src: "srd",
  quz: "que",
};

const byCode = new Map<string, string>();
/** Reference names by ISO 639-3 code. */
const names = new Map<string, string>();
for (const language of iso6393) {
  names.set(language.iso6393, language.name);
  byCode.set(language.iso6393, language.iso6393);
  for (const short of [language.iso6391, language.iso6392B])
    if (short && !byCode.has(short)) byCode.set(short, language.iso6393);
}
for (const language of iso6393) if (language.iso6391) byCode.set(language.iso6391, language.iso6393);

/** ISO 639-3 code of an individual language or its macrolanguage, as this corpus labels it. */
export function folded(code: string): string {
  return folds[code] ?? code;
}

/**
 * @param locale as a program names it: `pt_BR`, `sr@latin`, `zh-hant`, `mhr`
 * @returns ISO 639-3, with `_Script` or `_variant` where it is not the language's usual one; undefined for what is no
 *   language, and for English other than `en` (so that there is one spelling)
 */
export function labelOf(locale: string): string | undefined {
  const code = locale.replace(/\..*$/, "").replaceAll("_", "-").toLowerCase();
  const whole = exceptions[code];
  if (whole !== undefined) return whole ?? undefined;
  if (/^en[-@]/.test(code)) return undefined;
  const base = code.split(/[-@]/)[0]!;
  const known = base in exceptions ? exceptions[base] : byCode.get(base);
  return known ? folded(known) : undefined;
}

/** @returns a label's English name, for example `Serbian (Latn)` */
export function nameOf(label: string): string {
  const [code, variant] = label.split("_") as [string, string?];
  const name = (names.get(code) ?? code).replace(
    / \((?:macrolanguage|individual language|International [^)]*|[^)]*\d\d[^)]*)\)/g,
    "",
  );
  return variant ? `${name} (${variant})` : name;
}
