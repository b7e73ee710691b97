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
  /** Values of WALS features by the feature's number: `{ "81A": 1 }`. */
  features?: Readonly<Record<string, number>>;
}

/** The first line of the file. */
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
 * The language of a label: an ISO 639-3 code, with `_Latn` for another script than the usual or `_anything` for a dialect.
 * @param all as {@link languages} gives them
 * @returns the language in the label's script; undefined if the code is not in the table
 */
export function languageOf(all: ReadonlyMap<string, Language>, label: string): Language | undefined {
  const [code, variant] = label.split("_") as [string, string?];
  const language = all.get(code);
  return language && variant && /^[A-Z][a-z]{3}$/.test(variant) ? { ...language, script: variant } : language;
}
