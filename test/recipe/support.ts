/** Makes small inputs of the recipe: a compiled catalogue, messages of one program in several languages. */
import type { Catalogue } from "../../weights/recipe/families.ts";

/** A .mo file of original → translation, which must be sorted by original. */
export function mo(entries: readonly (readonly [string, string])[], little = true): Uint8Array {
  const texts = [...entries.map(([original]) => original), ...entries.map(([, translation]) => translation)].map(
    (text) => new TextEncoder().encode(text),
  );
  const tables = 28;
  let end = tables + 8 * texts.length;
  const bytes = new Uint8Array(end + texts.reduce((sum, text) => sum + text.length + 1, 0));
  const view = new DataView(bytes.buffer);
  const header = [0x950412de, 0, entries.length, tables, tables + 8 * entries.length, 0, 0];
  header.forEach((word, i) => {
    view.setUint32(4 * i, word, little);
  });
  texts.forEach((text, i) => {
    view.setUint32(tables + 8 * i, text.length, little);
    view.setUint32(tables + 8 * i + 4, end, little);
    bytes.set(text, end);
    end += text.length + 1;
  });
  return bytes;
}

/** A catalogue of one file in memory: message key → text. */
export function catalogue(messages: Record<string, string>, family = "mediawiki"): Catalogue {
  const list = Object.entries(messages).map(([key, text]) => ({ key, text }));
  return { family, locale: "xx", wiki: family === "mediawiki", read: () => [{ name: "i18n/", messages: list }] };
}
