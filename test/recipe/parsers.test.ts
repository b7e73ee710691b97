/** The four formats that programs keep their messages in, on samples written by hand. */
import { expect, test } from "bun:test";
import { parseFluent } from "../../weights/recipe/fluent.ts";
import { parseMediawiki, readWikitext } from "../../weights/recipe/mediawiki.ts";
import { parseMo } from "../../weights/recipe/mo.ts";
import { parseProperties } from "../../weights/recipe/properties.ts";
import { mo } from "./support.ts";

test(".mo: contexts and headers go, plurals give their last form, in both byte orders", () => {
  const entries: [string, string][] = [
    ["", "Content-Type: text/plain; charset=UTF-8\n"],
    ["menu\x04Open file", "Datei öffnen"],
    ["one page\0%d pages", "eine Seite\0%d Seiten"],
  ];
  for (const little of [true, false]) {
    expect(parseMo(mo(entries, little))).toEqual([
      { key: "Open file", english: "Open file", text: "Datei öffnen" },
      { key: "%d pages", english: "%d pages", text: "%d Seiten" },
    ]);
  }
});

test(".mo: what is no catalogue, or points outside itself, is refused", () => {
  const whole = mo([["a", "b"]], true);
  expect(() => parseMo(new TextEncoder().encode("no catalogue, but long enough to be one"))).toThrow("magic");
  expect(() => parseMo(whole.subarray(0, 30))).toThrow("does not fit");
  expect(() => parseMo(whole.subarray(0, whole.length - 2))).toThrow("the file at");
});

test(".ftl: attributes, terms, choices, comments and lines that go on", () => {
  const terms = new Map<string, string>();
  parseFluent("-brand-short-name = Firefox\n    .gender = masculine\n", terms);
  const source = [
    "# A comment = not a message",
    "welcome = Willkommen bei { -brand-short-name }!",
    "button =",
    "    .label = Alles schließen",
    "    .accesskey = A",
    "    .style = width: 20em",
    "tabs =",
    "    { $count ->",
    "        [one] Ein Tab in { $window }",
    "       *[other] { $count } Tabs in { $window }",
    "    } geschlossen",
    "long =",
    "    Erste Zeile",
    '    zweite Zeile{ " " }',
  ].join("\n");
  expect(parseFluent(source, terms)).toEqual([
    { key: "welcome", text: "Willkommen bei Firefox!" },
    { key: "button.label", text: "Alles schließen" },
    { key: "tabs", text: "{$count} Tabs in {$window} geschlossen" },
    { key: "long", text: "Erste Zeile zweite Zeile" },
  ]);
});

test(".properties: escapes, comments, lines that go on, plural lists", () => {
  const source = "# no\n! no = either\nopen.label = \\u00d6ffnen \\\n   Sie\ndays=#1 day;#1 days\nplain: a;b\nempty\n";
  expect(parseProperties(source)).toEqual([
    { key: "open.label", text: "Öffnen Sie" },
    { key: "days", text: "#1 days" },
    { key: "plain", text: "a;b" },
  ]);
});

test("MediaWiki: messages in file order without metadata; wikitext as it reads", () => {
  const source = JSON.stringify({ "@metadata": { authors: ["A"] }, b: "Zwei", a: "Eins" });
  expect(parseMediawiki(source)).toEqual([
    { key: "/b", text: "Zwei" },
    { key: "/a", text: "Eins" },
  ]);
  const wiki =
    "== Hilfe ==\n* '''{{PLURAL:$1|Eine Seite|$1 [[Spezial:Seiten|Seiten]]}}''' von {{SITENAME}}, " +
    "siehe [https://example.org die Anleitung] oder [[:Hilfe]] {{int:more}} {{GENDER:$2|er|sie}}";
  expect(readWikitext(wiki)).toBe("Hilfe\n$1 Seiten von Wiki, siehe die Anleitung oder Hilfe $1 er");
});
