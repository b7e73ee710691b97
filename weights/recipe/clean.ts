/** Takes a program's message down to lines of plain language, or to nothing. */
import { readWikitext } from "./mediawiki.ts";

/** Soft hyphens, direction marks, byte order marks. Joiners (U+200C, U+200D) stay: many scripts need them. */
const invisible = /[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;
const control = /[\p{Cc}\p{Co}\ufffd]/u;
const tag = /<\/?[a-zA-Z!][^<>]{0,400}>/g;
const entities: Record<string, string> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  laquo: "«",
  raquo: "»",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
  bdquo: "„",
  times: "×",
  copy: "©",
  rarr: "→",
  larr: "←",
  shy: "",
  zwnj: "\u200c",
  zwj: "\u200d",
  lrm: "",
  rlm: "",
};
/** Placeholders for numbers, and for anything else, as printf, gettext, Qt, Fluent, Mozilla, LibreOffice and wikis write them. */
const numbers =
  /%\d*\$?'?(?:l|ll|h|z)?[diu](?![\p{L}])|%\([A-Za-z_]+\)[di]|%n(?![\p{L}])|\{\s*\$\w*(?:[cC]ount|[nN]um(?:ber)?|[tT]otal|[aA]mount)\w*\s*\}/gu;
const values = new RegExp(
  [
    "%\\([A-Za-z_ ]+\\)[sdrfi]",
    "%\\d*\\$?[-+0# ']?[\\d.]*(?:l|ll|h|z)?[sSfgxXcr@](?![\\p{L}])",
    "%%?\\d+",
    "%L\\d",
    "\\$\\{?\\d+\\}?",
    "\\$\\{[\\w.]+\\}",
    "\\$\\([\\w.]+\\)",
    "\\$[A-Za-z_][\\w.]*",
    "\\{\\s*\\$?[-\\w.]*\\s*(?:\\([^{}]*\\))?\\}",
    "#\\{[^{}]*\\}",
    "@\\w+@",
    "%[A-Z_]{2,}%?",
    "\\[=[^\\]]*\\]",
    "#[A-Z_]+#",
    "#\\d\\b",
    "__\\w+__",
  ].join("|"),
  "gu",
);
/** Stands for what a program puts in when it runs, until the line is known to be good; then `X` does. */
const placeholder = "\ufffc";
/** Signs that a line must have for each placeholder in it: with fewer it is a form to fill in, not a sentence. */
const signsPerPlaceholder = { spaced: 18, unspaced: 7 };
/** `(_F)` behind a label in scripts without capital letters, and the sign before the letter that a key presses. */
const accelerator = /\s*\([&_~]\p{L}\)|[&_~](?=[\p{L}\p{N}])/gu;
/** What is left of markup, code, paths, addresses and choices of words. */
const residue =
  /[{}[\]<>\\|=^`#*~@_$]|::|\(\)|--\w|(?:^|\s)\/\w|\w\/\w+\/|&#?\w+;|%'?\p{L}|\ufffc{2}|[A-Z]% ?|(?:^| )% ?[A-Z]|https?:|www\.|\w\.(?:com|org|net|txt|php|html?|js|css|ini|conf|xml)\b/u;
const unspaced =
  /[\p{Script=Thai}\p{Script=Laoo}\p{Script=Tibt}\p{Script=Mymr}\p{Script=Khmr}\p{Script=Hira}\p{Script=Kana}\p{Script=Hani}\p{Script=Yiii}\p{Script=Bopo}\p{Script=Tale}\p{Script=Talu}\p{Script=Lana}\p{Script=Java}\p{Script=Bali}]/gu;

/**
 * @param wiki whether the message is wikitext
 * @returns its lines that read as language: NFC, single spaces, at least three words (eight letters in scripts without
 *   spaces), 72 % of the signs letters, no markup, path or address left
 */
export function cleanLines(message: string, wiki: boolean): string[] {
  let text = message.replace(invisible, "");
  if (wiki) text = readWikitext(text);
  if (text.includes("<")) text = text.replace(/<br\s*\/?>|<\/?(?:p|li|ul|div)\b[^<>]*>/gi, "\n").replace(tag, "");
  if (text.includes("&")) text = decodeEntities(text);
  text = text.replace(/%PRODUCTNAME/g, "LibreOffice").replace(numbers, () => String(2 + (message.length % 18)));
  text = text.replace(values, placeholder).replaceAll("%%", "%");
  if (!wiki && [...text.matchAll(accelerator)].length === 1) text = text.replace(accelerator, "");
  const lines: string[] = [];
  for (const raw of text.split(/\n+|\\n/)) {
    const line = raw
      .replace(/^[\s\-–—•·*#>:;,.)\]]+(?=\S)/, "")
      .replace(/\s+/g, " ")
      .trim()
      .normalize("NFC");
    if (readsAsLanguage(line)) lines.push(line.replaceAll(placeholder, "X"));
  }
  return lines;
}

function decodeEntities(text: string): string {
  return text
    .replace(/&(#x?[\da-fA-F]+|\w+);/g, (whole, name: string) => {
      if (!name.startsWith("#")) return entities[name] ?? whole;
      const code = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
      return code > 31 && code < 0x110000 ? String.fromCodePoint(code) : whole;
    })
    .replace(invisible, "")
    .replace(tag, "");
}

function readsAsLanguage(line: string): boolean {
  if (line.length < 8 || line.length > 3000) return false;
  const spaces = line.split(" ").length - 1;
  const unspacedLetters = line.match(unspaced)?.length ?? 0;
  if (unspacedLetters < 8 && (spaces < 2 || line.length < 15)) return false;
  const placeholders = line.split(placeholder).length - 1;
  if (placeholders * signsPerPlaceholder[unspacedLetters < 8 ? "spaced" : "unspaced"] > line.length) return false;
  if (control.test(line) || residue.test(line)) return false;
  const letters = line.match(/[\p{L}\p{M}\u200c\u200d]/gu)?.length ?? 0;
  const signs = [...line].length - spaces;
  if (letters < 0.72 * signs) return false;
  // Alphabets and lists of syllables, which office programs index by.
  if (spaces > 20 && letters / (spaces + 1) < 2.4) return false;
  if (unspacedLetters > 0.3 * letters) return unspacedLetters >= 8;
  return spaces >= 2 && letters / (spaces + 1) >= 2;
}
