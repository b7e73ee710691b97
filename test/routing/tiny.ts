/** A collection small enough to know by heart. */
import type { Collection, LanguageRouting } from "../../src/routing/collection.ts";

/** Of 15 languages, and one of which nothing is known. */
export const labels = [
  "afr",
  "ces",
  "dan",
  "deu",
  "ita",
  "nld",
  "pol",
  "por",
  "rus",
  "slk",
  "spa",
  "swa",
  "swe",
  "xho",
  "zul",
  "und",
];
/** A language's busiest expert, by its genus. */
const home: Record<string, number> = {
  afr: 0,
  dan: 0,
  deu: 0,
  nld: 0,
  swe: 0,
  ces: 1,
  pol: 1,
  rus: 1,
  slk: 1,
  ita: 2,
  por: 2,
  spa: 2,
};

/** 100 tokens in each of two layers of four experts. */
export function routing(language: string): LanguageRouting {
  const busiest = home[language] ?? 3;
  const spread = language.charCodeAt(0) % 5;
  const counts = [0, 1].map((layer) =>
    Array.from({ length: 4 }, (_, e) => (e === (busiest + layer) % 4 ? 70 - 3 * spread : 10 + spread)),
  );
  const favourite = { token: 7, text: "</script><b>", count: 3, of: 4 };
  return {
    ...{ language, documents: 1, bytes: 400, tokens: 100, counts },
    probability: counts.map((layer) => layer.map((count) => count / 100)),
    entropy: [0.5, 0.6],
    common: [
      [busiest, 40],
      [9, 20 + spread],
    ],
    favourites: counts.map((layer) => layer.map((_, e) => (e === 0 ? [] : [favourite]))),
  };
}

export const collection = (of: readonly string[] = labels): Collection => ({
  format: 1,
  version: "0.1.0",
  model: { label: "<tiny>", identity: "0123456789abcdef" },
  texts: "texts",
  experts: 4,
  layers: [1, 3],
  languages: of.toSorted().map(routing),
});
