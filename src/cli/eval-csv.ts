/** Results as tables for spreadsheets. */
import { saveFile } from "../base/atomic.ts";
import type { Differences } from "../evaluate/differences.ts";
import type { TextResults } from "../evaluate/results.ts";

type Row = readonly (string | number | boolean | null | undefined)[];

/** RFC 4180; what is not there is an empty cell. @throws LolaError "failed" when the disk refuses */
export async function saveTable(path: string, head: readonly string[], rows: readonly Row[]): Promise<void> {
  const lines = [head, ...rows].map((cells) => `${cells.map((cell) => quoted(`${cell ?? ""}`)).join(",")}\r\n`);
  await saveFile(path, (output) => output.write(new TextEncoder().encode(lines.join(""))));
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

const languageColumns =
  "language name family documents bytes tokens bits bits_per_byte low high resampled perplexity".split(" ");

/** One line a language. */
export async function saveLanguages(path: string, { languages }: TextResults): Promise<void> {
  const rows = languages.map((one): Row => {
    const sums = [one.documents, one.bytes, one.tokens, one.bits, one.bitsPerByte];
    return [one.language, one.name, one.family, ...sums, ...(one.interval ?? [null, null]), one.unit, one.perplexity];
  });
  await saveTable(path, languageColumns, rows);
}

const differenceColumns = "name metric samples first second difference low high noise".split(" ");

/** One line a language or task and metric, then the means. */
export async function saveDifferences(path: string, { differences, overall }: Differences): Promise<void> {
  const rows = [...differences, ...overall].map((one): Row => {
    const values = [one.samples, one.first, one.second, one.difference];
    return [one.name, one.metric, ...values, ...(one.interval ?? [null, null]), one.noise];
  });
  await saveTable(path, differenceColumns, rows);
}
