/** Text to measure on: as much of each language, in whole characters. */
import type { Document } from "../data/documents.ts";

/**
 * The beginning of each language's documents, joined by line ends; languages in order, those without text left out.
 * @param most UTF-8 bytes of a language
 */
export async function beginnings(
  documents: Iterable<Document> | AsyncIterable<Document>,
  most: number,
): Promise<Document[]> {
  const texts = new Map<string, Buffer>();
  for await (const { text, language } of documents) {
    const before = texts.get(language);
    if (before && before.length >= most) continue;
    const parts = before ? [before, Buffer.from("\n"), Buffer.from(text)] : [Buffer.from(text)];
    texts.set(language, Buffer.concat(parts).subarray(0, most));
  }
  // A character that is cut is left out: to decode a stream waits for its rest.
  const decoded = Array.from(texts, ([language, bytes]) => ({
    language,
    text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true }),
  }));
  return decoded.filter(({ text }) => text !== "").sort((a, b) => (a.language < b.language ? -1 : 1));
}
