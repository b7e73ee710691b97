/** The formats that files of examples may have, how each is known, and the rows of any of them. */
import { readDocuments } from "../documents.ts";
import { type Formats, firstCharacter, type Source } from "../sources.ts";
import { looksLikeHeader, readCsv } from "./csv.ts";
import { readJson, readJsonLines } from "./json.ts";
import { readParquet } from "./parquet.ts";
import type { Rows } from "./rows.ts";

export type ExampleFormat = "text" | "jsonl" | "json" | "csv" | "tsv" | "parquet";

/** For findSources. Stdin: Parquet by its first bytes, JSON by its bracket, a table by its header, else text. */
export const exampleFormats: Formats<ExampleFormat> = {
  endings: new Map<string, ExampleFormat>([
    ["txt", "text"],
    ["text", "text"],
    ["jsonl", "jsonl"],
    ["ndjson", "jsonl"],
    ["json", "json"],
    ["csv", "csv"],
    ["tsv", "tsv"],
    ["parquet", "parquet"],
  ]),
  other: "text",
  sniff(head) {
    const text = new TextDecoder().decode(head.subarray(0, 4096)).trimStart();
    if (text.startsWith("PAR1")) return "parquet";
    if (/^[[{]/.test(firstCharacter(head))) return "json";
    return looksLikeHeader(/.*/.exec(text)![0]) ? "csv" : "text";
  },
};

/**
 * The rows of a file, in order, some at a time.
 * @throws DataError with file and line, as the readers of the formats
 */
export async function* readRows(source: Source<ExampleFormat>): AsyncGenerator<Rows> {
  switch (source.format) {
    case "jsonl":
      return yield* readJsonLines(source);
    case "json":
      return yield* readJson(source);
    case "csv":
      return yield* readCsv(source);
    case "tsv":
      return yield* readCsv(source, "\t");
    case "parquet":
      return yield* readParquet(source);
    case "text":
      for await (const { text, line } of readDocuments([{ ...source, format: "text" }])) {
        yield { values: [{ text }], where: () => `${source.label} line ${line}` };
      }
  }
}
