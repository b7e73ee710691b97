/** What makes the corpus a fair one: nothing twice, nothing in the wrong language, the same messages held out everywhere. */
import { expect, test } from "bun:test";
import { type Context, capped, isHeldOut, makeLanguage, messageId } from "../../weights/recipe/corpus.ts";
import { WordCounts } from "../../weights/recipe/english.ts";
import { declarationFor, declarations, NearDuplicates, paragraphsOf } from "../../weights/recipe/udhr.ts";
import { catalogue } from "./support.ts";

const nothing = new NearDuplicates([]);

function context(english: Record<string, string> = {}): Context {
  const entries = Object.entries(english).map(([key, text]) => [messageId("mediawiki", "i18n/", key), text] as const);
  return { english: new Map(entries), englishWords: new WordCounts(), known: new Map() };
}

/** Lines that are kept, held out or not. */
function linesOf(label: string, messages: Record<string, string>[], shared: Context, declared = nothing): string[] {
  const families = ["mediawiki", "vlc", "cinnamon"];
  const catalogues = messages.map((some, i) => catalogue(some, families[i]!));
  return (makeLanguage(label, catalogues, shared, declared)?.documents ?? [])
    .flatMap(({ text }) => text.split("\n"))
    .sort();
}

test("a line that differs in more than letters only is kept once, by the first family", () => {
  const first = { a: "Die Seite wurde gelöscht.", b: "Alle Seiten sind geschützt." };
  const second = { c: "die Seite wurde gelöscht", d: "Eine ganz andere Zeile hier" };
  const language = makeLanguage("deu", [catalogue(first), catalogue(second, "vlc")], context(), nothing)!;
  const texts = language.documents.map(({ family, text }) => `${family}: ${text}`).join("\n");
  expect(texts).toContain("Die Seite wurde gelöscht.");
  expect(texts).not.toContain("die Seite wurde gelöscht");
  expect(language.drops.repeated).toBe(1);
});

test("untranslated messages and other languages' lines are left out", () => {
  const shared = context({ a: "The page was deleted." });
  const known = new Map([["diediskussionsseitewurdegeleert", "deu"]]);
  const messages = {
    a: "The page was deleted.",
    b: "Die Diskussionsseite wurde geleert!",
    c: "De side is fuortsmiten wurden.",
  };
  expect(linesOf("fry", [messages], { ...shared, known })).toEqual(["De side is fuortsmiten wurden."]);
});

test("English that matches no message is told by its words", () => {
  const englishWords = new WordCounts();
  for (let i = 0; i < 50; i++)
    englishWords.add("click the button to open the color picker and save the page to the disk");
  const own: Record<string, string> = { leak: "Click to open the color picker" };
  for (let i = 0; i < 60; i++) own[`m${i}`] = `Klik op de knop om ${"abcdefghij"[i % 10]}${"klmnop"[i % 6]}r te openen`;
  const lines = linesOf("nld", [own], { ...context(), englishWords });
  expect(lines.length).toBe(30);
  expect(lines.join()).not.toContain("color");
  expect(linesOf("sco", [{ leak: "Click to open the color picker" }], { ...context(), englishWords })).toHaveLength(1);
});

test("lines in another script are left out, unless the label asks for that script", () => {
  const messages = { a: "Это первая строка текста", b: "Это вторая строка текста", c: "Ovo je jedna linija" };
  expect(linesOf("srp", [messages], context())).toEqual(["Это вторая строка текста", "Это первая строка текста"]);
  expect(linesOf("srp_Latn", [messages], context())).toEqual(["Ovo je jedna linija"]);
});

test("one message in twenty is held out, by its English text, the same in all languages", () => {
  const english: Record<string, string> = {};
  const [german, french]: Record<string, string>[] = [{}, {}];
  for (let i = 0; i < 400; i++) {
    const name = i.toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)]!);
    english[`k${i}`] = `Message about ${name}`;
    german![`k${i}`] = `Nachricht zum Thema ${name} hier`;
    french![`k${i}`] = `Un message au sujet de ${name}`;
  }
  const shared = context(english);
  const held = [german!, french!].map((messages) => {
    const language = makeLanguage("deu", [catalogue(messages)], shared, nothing)!;
    const lines = language.documents.filter(({ heldOut }) => heldOut).flatMap(({ text }) => text.split("\n"));
    expect(language.documents.every(({ text }) => text.length <= 1500)).toBe(true);
    return lines.map((line) => Object.keys(messages).find((key) => messages[key] === line));
  });
  const expected = Object.keys(english).filter((key) => isHeldOut(english[key]!));
  expect(expected.length).toBeGreaterThan(8);
  expect(expected.length).toBeLessThan(40);
  expect(held).toEqual([expected, expected]);
});

test("what shares a run of letters with the Declaration is left out", () => {
  const declared = new NearDuplicates(["Alle Menschen sind frei und gleich an Würde und Rechten geboren."]);
  const messages = {
    a: "Zitat: „alle Menschen sind FREI, und gleich an Würde“",
    b: "Alle Menschen sind willkommen hier",
  };
  expect(linesOf("deu", [messages], context(), declared)).toEqual(["Alle Menschen sind willkommen hier"]);
});

test("a cap keeps whole documents, chosen by hash alone", () => {
  const documents = Array.from({ length: 50 }, (_, i) => ({ family: "vlc", heldOut: false, text: `Dokument ${i}` }));
  const some = capped(documents, 200);
  expect(some.reduce((sum, { text }) => sum + text.length + 1, 0)).toBeLessThanOrEqual(200);
  expect(some.length).toBeGreaterThan(14);
  expect(capped(documents.toReversed(), 200)).toEqual(some);
  expect(
    capped(documents, 1e6)
      .map(({ text }) => text)
      .sort(),
  ).toEqual(documents.map(({ text }) => text).sort());
});

test("declarations: paragraphs without headings; the one in the corpus's script and standard", () => {
  expect(
    paragraphsOf("<title>T</title><body><h1>Title</h1><p>One <b>two</b></p><h2>A</h2><p>&amp;\n three</p>"),
  ).toEqual(["One two", "& three"]);
  const all = declarations();
  expect(all.length).toBeGreaterThan(400);
  const codes = [
    ["deu", "Latn"],
    ["zho_Hant", "Hani"],
    ["srp", "Cyrl"],
    ["srp_Latn", "Latn"],
    ["bel_tarask", "Cyrl"],
  ].map(([label, script]) => declarationFor(all, label!, script!)?.code);
  expect(codes).toEqual(["deu_1996", "cmn_hant", "srp_cyrl", "srp_latn", undefined]);
});
