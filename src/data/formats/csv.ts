/** CSV and TSV: a header that names the columns, then a row of cells for each example. */
import Papa from "papaparse";
import { DataError } from "../../base/errors.ts";
import { findKind, kindOf } from "../kinds.ts";
import { type Readable, readString } from "../lines.ts";
import { ROWS_AT_ONCE, type Rows } from "./rows.ts";

/** Characters that part cells, the likeliest first. */
const delimiters = [",", "\t", ";"];

/** Is this the header of a table of examples? Names of columns, those of some kind among them. */
export function looksLikeHeader(line: string): boolean {
  const cells = line.split(delimiterOf(line)).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
  return cells.length > 1 && cells.every((cell) => /^[\w-]+$/.test(cell)) && findKind(cells) !== undefined;
}

/** What parts the cells of a header. */
function delimiterOf(header: string): string {
  return delimiters.find((delimiter) => header.includes(delimiter)) ?? ",";
}

/**
 * Rows as objects of strings; blank lines are left out. The header is row 1, as spreadsheets count.
 * @param delimiter told by the header without it
 * @throws DataError as readString, and data.csv, data.duplicate, data.keys
 */
export async function* readCsv(source: Readable, delimiter?: string): AsyncGenerator<Rows> {
  // As in text files, line ends are one character, within cells too.
  const text = (await readString(source)).replaceAll("\r\n", "\n");
  const { label } = source;
  const header = /\S.*/.exec(text)?.[0] ?? "";
  const { data, errors } = Papa.parse<string[]>(text, { delimiter: delimiter ?? delimiterOf(header), newline: "\n" });
  const where = (row: number) => {
    // A cell may hold line ends.
    const line = data.slice(0, row).reduce((sum, cells) => sum + cells.join("").split("\n").length, 1);
    return `${label} row ${row + 1}${line === row + 1 ? "" : ` (line ${line})`}`;
  };
  const quotes = errors.find(({ type }) => type === "Quotes");
  if (quotes) {
    const says = `${where(quotes.row ?? 0)}: ${quotes.message.toLowerCase()}`;
    throw new DataError("data.csv", says, 'a quote within a quoted cell written twice: "so ""called"" cells"');
  }
  const isBlank = (cells: readonly string[]) => cells.length === 1 && cells[0]!.trim() === "";
  const first = data.findIndex((cells) => !isBlank(cells));
  if (first < 0) return;
  const keys = data[first]!.map((cell) => cell.trim());
  kindOf(keys, () => `${where(first)}, the header`);
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) {
    throw new DataError("data.duplicate", `${where(first)}: the column "${twice}" comes twice`, "each column once");
  }
  for (let from = first + 1; from < data.length; from += ROWS_AT_ONCE) {
    const numbers: number[] = [];
    const values: Record<string, string>[] = [];
    for (let row = from; row < Math.min(data.length, from + ROWS_AT_ONCE); row++) {
      const cells = data[row]!;
      if (isBlank(cells)) continue;
      if (cells.length !== keys.length) {
        const says = `${where(row)}: ${cells.length} cells, the header has ${keys.length}`;
        throw new DataError("data.csv", says, 'quotes around a cell that holds a comma: "one, two"');
      }
      numbers.push(row);
      values.push(Object.fromEntries(keys.map((key, i) => [key, cells[i]!])));
    }
    yield { values, where: (i) => where(numbers[i]!) };
  }
}
