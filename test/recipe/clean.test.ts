/** Which lines of a message are kept, and what is taken out of them. */
import { describe, expect, test } from "bun:test";
import { cleanLines } from "../../weights/recipe/clean.ts";
import { labelOf, nameOf } from "../../weights/recipe/codes.ts";
import { fits, scriptOf } from "../../weights/recipe/scripts.ts";

describe("cleaned", () => {
  const cases: [what: string, message: string, lines: string[]][] = [
    ["tags and entities", "Die <b>neue</b> Seite &amp; ihr&nbsp;Text", ["Die neue Seite & ihr Text"]],
    ["lines", "Erste Zeile ist lang<br>Zweite Zeile ist lang", ["Erste Zeile ist lang", "Zweite Zeile ist lang"]],
    ["accelerators", "_Datei jetzt öffnen", ["Datei jetzt öffnen"]],
    ["accelerators of scripts without capitals", "ファイルを開いてください(~F)", ["ファイルを開いてください"]],
    ["printf", "Die Datei %s wurde nicht gefunden", ["Die Datei X wurde nicht gefunden"]],
    ["Mozilla's", "Die Datei %1$S wurde nicht gefunden", ["Die Datei X wurde nicht gefunden"]],
    ["Fluent's", "Die Datei {$name} wurde nicht gefunden", ["Die Datei X wurde nicht gefunden"]],
    ["product names", "Hilfe von %PRODUCTNAME beim Start anzeigen", ["Hilfe von LibreOffice beim Start anzeigen"]],
    ["percentages", "Genau 100%% der Seiten sind fertig", ["Genau 100% der Seiten sind fertig"]],
    ["composition", "Cafe\u0301 mit viel Milch", ["Café mit viel Milch"]],
    ["direction marks", "\u200fשלום לכולם כאן היום", ["שלום לכולם כאן היום"]],
    ["joiners stay", "می\u200cخواهم این را بخوانم", ["می\u200cخواهم این را بخوانم"]],
  ];
  for (const [what, message, lines] of cases) test(what, () => expect(cleanLines(message, false)).toEqual(lines));

  test("numbers become a number", () => {
    expect(cleanLines("Es wurden %d Dateien gelöscht", false)[0]).toMatch(/^Es wurden \d+ Dateien gelöscht$/);
    expect(cleanLines("Es wurden { $fileCount } Dateien gelöscht", false)[0]).toMatch(/^Es wurden \d+ Dateien/);
  });
});

describe("left out", () => {
  const cases: [what: string, message: string][] = [
    ["one or two words", "Datei öffnen"],
    ["too few letters without spaces", "ファイル"],
    ["mostly digits", "12:30 – 14:45 am 1.2.2003 um 3"],
    ["addresses", "Siehe https://example.org/hilfe für alles Weitere"],
    ["paths", "Die Datei /etc/passwd ist nicht lesbar"],
    ["identifiers", "Der Wert von max_line_length ist ungültig"],
    ["open markup", "Ein [[Verweis ohne Ende auf eine Seite"],
    ["forms to fill in", "%s von %s in %s"],
    ["alphabets", "a b c d e f g h i j k l m n o p q r s t u v w x y z aa ab ac ad ae af"],
    ["broken encoding", "Das ist kaputt\ufffder Text in der Datei"],
  ];
  for (const [what, message] of cases) test(what, () => expect(cleanLines(message, false)).toEqual([]));
});

test("scripts: by most letters; Japanese and Korean may use Han letters alone", () => {
  expect(scriptOf("Firefox を更新しています")).toBe("Jpan");
  expect(scriptOf("更新设置")).toBe("Hani");
  expect(scriptOf("한국어 漢字")).toBe("Kore");
  expect(scriptOf("Настройки VLC")).toBe("Cyrl");
  expect(scriptOf("ⵜⴰⵎⴰⵣⵉⵖⵜ")).toBe("Tfng");
  expect(scriptOf("12 %")).toBeUndefined();
  expect([fits("Hani", "Jpan"), fits("Hani", "Latn"), fits("Latn", "Cyrl")]).toEqual([true, false, false]);
});

test("locale codes: ISO 639-3, a suffix for a second script, one English", () => {
  const labels: Record<string, string | undefined> = {
    de: "deu",
    pt_BR: "por",
    "nb-NO": "nob",
    "zh-TW": "zho_Hant",
    "zh-hans": "zho",
    "sr@latin": "srp_Latn",
    "sr-ec": "srp",
    "be-tarask": "bel_tarask",
    fil: "tgl",
    gug: "grn",
    mhr: "mhr",
    en: "eng",
    en_GB: undefined,
    qqq: undefined,
    "ca@valencia": "cat",
  };
  for (const [locale, label] of Object.entries(labels)) expect([locale, labelOf(locale)]).toEqual([locale, label]);
  expect(nameOf("srp_Latn")).toBe("Serbian (Latn)");
  expect(nameOf("ell")).toBe("Modern Greek");
});
