/** Which tokens each expert likes best in each language: packed small for a page, and as rows of a file. */

import type { Collection } from "./collection.ts";
import { csv } from "./figures/figure.ts";

export interface PackedFavourites {
  /** Every text once. */
  texts: string[];
  /** [language][layer · experts]: of each favourite its text's index, how often it went there, how often it occurred. */
  lists: number[][][];
}

/** @param most favourites of an expert and a language */
export function packFavourites({ languages }: Collection, most: number): PackedFavourites {
  const texts = new Map<string, number>();
  const indexOf = (text: string) => {
    const known = texts.get(text) ?? texts.size;
    texts.set(text, known);
    return known;
  };
  const lists = languages.map(({ favourites }) =>
    favourites.flatMap((layer) =>
      layer.map((expert) => expert.slice(0, most).flatMap(({ text, count, of }) => [indexOf(text), count, of])),
    ),
  );
  return { texts: [...texts.keys()], lists };
}

/** All of them: language, layer, expert, token, text, count, of. */
export function favouritesCsv({ languages, layers }: Collection): string {
  const rows = languages.flatMap(({ language, favourites }) =>
    favourites.flatMap((layer, l) =>
      layer.flatMap((expert, e) =>
        expert.map(({ token, text, count, of }) => [language, layers[l]!, e, token, text, count, of]),
      ),
    ),
  );
  return csv({ columns: ["language", "layer", "expert", "token", "text", "count", "of"], rows });
}
