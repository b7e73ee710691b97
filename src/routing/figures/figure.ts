/** A figure of the report: a picture that stands by itself, with the table of what it shows. */
import { escapeHtml } from "../../base/page.ts";

/** Columns in figures and files are in one order; a cell that is not known is empty. */
export interface Table {
  columns: readonly string[];
  rows: readonly (readonly (string | number | undefined)[])[];
}

export interface Figure {
  /** Stem of its files: "heat-map". */
  name: string;
  title: string;
  /** What is to be seen, in a sentence or two: for those who do not see it too. */
  description: string;
  /** SVG with a white ground and colours of its own; a page in the dark paints over them by class. */
  svg: string;
  table: Table;
}

/** Pixels of a figure that fills the page. */
export const fullWidth = 1120;

export const ink = 'class="ink" fill="#1b1b1b"';
export const soft = 'class="soft" fill="#595959"';
export const rule = 'class="rule" stroke="#d4d4d4"';

/**
 * A whole picture.
 * @param body markup, drawn over the ground
 */
export function picture(
  { name, title, description }: Pick<Figure, "name" | "title" | "description">,
  [width, height]: readonly [number, number],
  body: string,
): string {
  const size = `width="${at(width)}" height="${at(height)}" viewBox="0 0 ${at(width)} ${at(height)}"`;
  const font = 'font-family="Noto Sans, system-ui, sans-serif" font-size="11"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font} role="img" aria-labelledby="${name}-t ${name}-d">
<title id="${name}-t">${escapeHtml(title)}</title>
<desc id="${name}-d">${escapeHtml(description)}</desc>
<rect class="ground" width="100%" height="100%" fill="#fff"/>
${body}
</svg>`;
}

export interface Text {
  /** Which end of the text is at x. */
  anchor?: "start" | "middle" | "end";
  /** Attributes of its paint: {@link ink}, {@link soft}. */
  paint?: string;
  /** More attributes. */
  more?: string;
}

/** Words whose baseline begins, or ends, at a point. */
export function words(
  text: string,
  x: number,
  y: number,
  { anchor = "start", paint = soft, more = "" }: Text = {},
): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" ${paint}${more && ` ${more}`}>${escapeHtml(text)}</text>`;
}

/** A coordinate, no longer than it needs to be. */
export const at = (value: number) => String(Number(value.toFixed(1)));

/** Comma-separated values as RFC 4180 has them. */
export function csv({ columns, rows }: Table): string {
  const cell = (value: string | number | undefined) => {
    const text = String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${[columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** The table as a list of records, with what it is. */
export function json({ title, description, table }: Figure): string {
  const records = table.rows.map((row) =>
    JSON.stringify(Object.fromEntries(table.columns.map((column, i) => [column, row[i]]))),
  );
  const head = JSON.stringify({ title, description }).slice(0, -1);
  return `${head},"rows":[\n${records.join(",\n")}\n]}\n`;
}
