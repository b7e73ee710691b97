/** What is known of languages: names, scripts, families, places and features, from the table that ships with the program. */
import { embeddedLanguages } from "../base/embedded.ts";
import { LolaError } from "../base/errors.ts";
import { readLines } from "./lines.ts";

export interface Language {
  /** ISO 639-3. */
  code: string;
  /** In English. */
  name: string;
  /** ISO 15924, the usual one: "Cyrl". */
  script: string;
  /** Genealogical, the widest: "Indo-European"; of a language without relatives "Basque (isolate)". */
  family?: string;
  /** As WALS divides families: "Germanic". */
  genus?: string;
  /** ISO 639-5 codes of the groups around it, widest first: `["ine", "gem", "gmw"]`. Areas are no groups. */
  groups: readonly string[];
  /** Degrees north. */
  latitude?: number;
  /** Degrees east. */
  longitude?: number;
  /** Other codes for it, or for the largest part of it: `["sw", "swh"]` of "swa". */
  aliases?: readonly string[];
  /** Values of WALS features by the feature's number: `{ "81A": 1 }`. */
  features?: Readonly<Record<string, number>>;
}

/** The first line of the file; it tells the sources too. */
interface Header {
  features: string[];
}

/** Any other line: a language whose features are one character each, in the header's order, in base 36, `.` if unknown. */
interface Row extends Omit<Language, "features"> {
  features?: string;
}

let table: Promise<ReadonlyMap<string, Language>> | undefined;

/**
 * Every language of the table by its ISO 639-3 code.
 * @throws LolaError "usage" where this build has no table
 */
export function languages(): Promise<ReadonlyMap<string, Language>> {
  table ??= read();
  return table;
}

async function read(): Promise<ReadonlyMap<string, Language>> {
  const path = embeddedLanguages();
  if (path === undefined) throw new LolaError("usage", "this build has no table of languages");
  const found = new Map<string, Language>();
  let header: Header | undefined;
  for await (const { lines } of readLines({ path, label: "the table of languages", compression: "zstd" })) {
    for (const line of lines) {
      if (!header) {
        header = JSON.parse(line) as Header;
        continue;
      }
      const { features, ...language } = JSON.parse(line) as Row;
      found.set(language.code, features ? { ...language, features: unpacked(features, header.features) } : language);
    }
  }
  return found;
}

function unpacked(features: string, names: readonly string[]): Record<string, number> {
  const known: Record<string, number> = {};
  [...features].forEach((value, i) => {
    if (value !== ".") known[names[i]!] = Number.parseInt(value, 36);
  });
  return known;
}

/**
 * The label by which this program calls a language that others call otherwise.
 * @param all as {@link languages} gives them
 * @param tag of BCP 47, FLORES or a locale, or a label: "sw", "zh-Hant", "zh_TW", "swh_Latn", "pt-BR", "bel_tarask"
 * @returns ISO 639-3, with `_Latn` for another script than the usual, or `_tarask` for a dialect or spelling that is no
 *   region: "swa", "zho_Hant", "zho_Hant", "swa", "por", "bel_tarask"; undefined if the language is not in the table
 */
export function codeOf(all: ReadonlyMap<string, Language>, tag: string): string | undefined {
  const [primary, ...rest] = tag.split(/[-_]/);
  const base = primary!.toLowerCase();
  const language = all.values().find(({ aliases }) => aliases?.includes(base)) ?? all.get(base);
  if (!language) return undefined;
  const region = rest.find((part) => /^([A-Z]{2}|\d{3})$/.test(part));
  const script = rest.find((part) => /^[a-z]{4}$/i.test(part) && isScript(part)) ?? (region && scriptIn(base, region));
  if (script && titled(script) !== language.script) return `${language.code}_${titled(script)}`;
  const variant = rest.find((part) => part !== region && part !== script);
  return variant ? `${language.code}_${variant}` : language.code;
}

/** Whether four letters are a script's code; a variant such as "tara" is none. */
function isScript(part: string): boolean {
  return scriptNames.of(titled(part)) !== undefined;
}

const scriptNames = new Intl.DisplayNames("en", { type: "script", fallback: "none" });

/** "hant" as "Hant". */
function titled(script: string): string {
  return script[0]!.toUpperCase() + script.slice(1).toLowerCase();
}

/** The script that a language is written in where a region has its own: "Hant" of Chinese in Taiwan. */
function scriptIn(language: string, region: string): string | undefined {
  return new Intl.Locale(`${language}-${region}`).maximize().script;
}

/**
 * The language of a label or of any tag that {@link codeOf} knows, in the tag's script.
 * @param all as {@link languages} gives them
 * @returns undefined if the language is not in the table
 */
export function languageOf(all: ReadonlyMap<string, Language>, label: string): Language | undefined {
  const exact = all.get(label);
  if (exact) return exact;
  const [code, variant] = codeOf(all, label)?.split("_") ?? [];
  const language = all.get(code ?? "");
  return language && variant && /^[A-Z][a-z]{3}$/.test(variant) ? { ...language, script: variant } : language;
}
