/** Results as a table for spreadsheets: RFC 4180, one line a language. */
import { saveFile } from "../base/atomic.ts";
import type { LanguageScore, TextResults } from "../evaluate/results.ts";

const columns: readonly (readonly [name: string, of: (score: LanguageScore) => string | number | undefined])[] = [
  ["language", ({ language }) => language],
  ["name", ({ name }) => name],
  ["family", ({ family }) => family],
  ["documents", ({ documents }) => documents],
  ["bytes", ({ bytes }) => bytes],
  ["tokens", ({ tokens }) => tokens],
  ["bits", ({ bits }) => bits],
  ["bits_per_byte", ({ bitsPerByte }) => bitsPerByte],
  ["low", ({ interval }) => interval?.[0]],
  ["high", ({ interval }) => interval?.[1]],
  ["resampled", ({ unit }) => unit],
  ["perplexity", ({ perplexity }) => perplexity],
];

/** @throws LolaError "failed" when the disk refuses */
export async function saveCsv(path: string, { languages }: TextResults): Promise<void> {
  const lines = [columns.map(([name]) => name), ...languages.map((score) => columns.map(([, of]) => of(score) ?? ""))];
  const text = lines.map((cells) => `${cells.map((cell) => quoted(`${cell}`)).join(",")}\r\n`).join("");
  await saveFile(path, (output) => output.write(new TextEncoder().encode(text)));
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
