/** From the messages of one language to its documents: no repetition, no other language, a part held out. */
import { cleanLines } from "./clean.ts";
import { isEnglish, WordCounts } from "./english.ts";
import type { Catalogue } from "./families.ts";
import { lettersOf } from "./message.ts";
import { fits, scriptOf } from "./scripts.ts";
import type { NearDuplicates } from "./udhr.ts";

/** One message bucket in so many is held out, the same in all languages. */
const buckets = 20;
/** Characters that a document may grow to. */
const documentLength = 1500;
/** Letters below which a line that another language has as well proves nothing. */
const leakLetters = 15;

/** Why lines were left out, and how many. */
export type Drops = Record<"untranslated" | "repeated" | "leaked" | "english" | "script" | "udhr", number>;

export interface Document {
  family: string;
  heldOut: boolean;
  text: string;
}

export interface Language {
  documents: Document[];
  /** ISO 15924 code of the script that most of it is in. */
  script: string;
  drops: Drops;
  /** Letters of every line kept: what other languages' lines are compared with. */
  letters: Set<string>;
}

/** What all languages share. */
export interface Context {
  /** English text of a message by {@link messageId}, for families whose files do not hold it. */
  english: ReadonlyMap<string, string>;
  /** Words of the English corpus. */
  englishWords: WordCounts;
  /** Letters of lines → the language that they come from. */
  known: ReadonlyMap<string, string>;
}

export function messageId(family: string, file: string, key: string): string {
  return `${family}\0${file}\0${key}`;
}

/** @returns whether a message is held out: by its English text, letters only, else by its name */
export function isHeldOut(englishOrKey: string): boolean {
  return Bun.hash.xxHash32(lettersOf(englishOrKey)) % buckets === 0;
}

interface Line {
  text: string;
  letters: string;
  script: string;
}

interface Kept {
  family: string;
  file: string;
  heldOut: boolean;
  lines: Line[];
}

/**
 * @param label the language, as {@link labelOf} has it; a script in it is the script to keep
 * @param catalogues its catalogues, in the order in which a repeated line goes to the first
 * @returns its documents: consecutive messages of a file, up to 1,500 characters
 */
export function makeLanguage(
  label: string,
  catalogues: readonly Catalogue[],
  context: Context,
  declared: NearDuplicates,
): Language | undefined {
  const drops: Drops = { untranslated: 0, repeated: 0, leaked: 0, english: 0, script: 0, udhr: 0 };
  const seen = new Set<string>();
  const kept: Kept[] = [];
  const words = new WordCounts();
  const bytesByScript = new Map<string, number>();
  for (const { family, wiki, read } of catalogues) {
    for (const { name: file, messages } of read()) {
      for (const message of messages) {
        const source = message.english ?? context.english.get(messageId(family, file, message.key));
        if (label !== "eng" && message.text === source) {
          drops.untranslated++;
          continue;
        }
        const lines: Line[] = [];
        for (const text of cleanLines(message.text, wiki)) {
          const letters = lettersOf(text);
          if (seen.has(letters)) drops.repeated++;
          else if (letters.length >= leakLetters && (context.known.get(letters) ?? label) !== label) drops.leaked++;
          else if (declared.has(text)) drops.udhr++;
          else {
            const script = scriptOf(text)!;
            bytesByScript.set(script, (bytesByScript.get(script) ?? 0) + Buffer.byteLength(text));
            lines.push({ text, letters, script });
            words.add(text);
          }
          seen.add(letters);
        }
        if (lines.length > 0) kept.push({ family, file, heldOut: isHeldOut(source ?? message.key), lines });
      }
    }
  }
  const main = /_([A-Z]\w{3})$/.exec(label)?.[1] ?? mainScript(bytesByScript);
  if (!main) return undefined;
  const script = main === "Hans" || main === "Hant" ? "Hani" : main;
  for (const message of kept) {
    message.lines = message.lines.filter((line) => {
      const reason = !fits(line.script, script)
        ? "script"
        : isEnglish(line.text, label, context.englishWords, words)
          ? "english"
          : undefined;
      if (reason) drops[reason]++;
      return !reason;
    });
  }
  const letters = new Set(kept.flatMap(({ lines }) => lines.map((line) => line.letters)));
  return { documents: [...documentsOf(kept)], script, drops, letters };
}

function mainScript(bytes: ReadonlyMap<string, number>): string | undefined {
  return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0];
}

/** Joins the lines of consecutive messages, those held out apart from the others. */
function* documentsOf(kept: readonly Kept[]): Generator<Document> {
  for (const heldOut of [false, true]) {
    let open: { file: string; document: Document } | undefined;
    for (const message of kept) {
      if (message.heldOut !== heldOut || message.lines.length === 0) continue;
      const text = message.lines.map((line) => line.text).join("\n");
      const { family, file } = message;
      if (
        open &&
        open.file === file &&
        open.document.family === family &&
        open.document.text.length + text.length < documentLength
      ) {
        open.document.text += `\n${text}`;
      } else {
        if (open) yield open.document;
        open = { file, document: { family, heldOut, text } };
      }
    }
    if (open) yield open.document;
  }
}

/**
 * @returns documents in an order set by their hash alone, up to `cap` bytes: what is left out says nothing about what
 *   is kept, and neighbours come from different programs
 */
export function capped(documents: readonly Document[], cap: number): Document[] {
  const order = documents.map((document) => ({ document, hash: Bun.hash.xxHash32(document.text) }));
  order.sort((a, b) => a.hash - b.hash || (a.document.text < b.document.text ? -1 : 1));
  let bytes = 0;
  return order
    .map(({ document }) => document)
    .filter(({ text }) => {
      const size = Buffer.byteLength(text) + 1;
      if (bytes + size > cap) return false;
      bytes += size;
      return true;
    });
}
