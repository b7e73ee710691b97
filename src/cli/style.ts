/** Colour and emphasis, only where a stream can show them. */
import { isatty } from "node:tty";

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
}

const wrap = (on: number, off: number) => (text: string) => `\x1b[${on}m${text}\x1b[${off}m`;
const coloured: Style = { bold: wrap(1, 22), dim: wrap(2, 22), red: wrap(31, 39) };
const same = (text: string) => text;

/** No escape codes at all. */
export const plain: Style = { bold: same, dim: same, red: same };

type Environment = Record<string, string | undefined>;

/** NO_COLOR (no-color.org) and FORCE_COLOR count when not empty; otherwise a terminal that is neither dumb nor a CI log. */
export function wantsColour(terminal: boolean, env: Environment = process.env): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0";
  return terminal && env.TERM !== "dumb" && !env.CI;
}

export function styleOf(fd: 1 | 2): Style {
  return wantsColour(isatty(fd)) ? coloured : plain;
}

/**
 * Makes text safe to show in a terminal: control characters that could move the cursor, retitle the window or start an
 * escape sequence appear as their pictures (U+2400 block) or as U+FFFD; tab and line feed stay.
 */
export function neutralise(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : code === 127 ? "\u2421" : "\ufffd";
  });
}

/** Columns padded to their widest cell, those that hold a number to the right; two spaces between columns. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const columns = Array.from({ length: count }, (_, c) => rows.map((row) => row[c] ?? ""));
  const widths = columns.map((cells) => Math.max(...cells.map((cell) => Bun.stringWidth(`${cell}`))));
  const right = columns.map((cells) => cells.some((cell) => typeof cell === "number"));
  const padded = (cell: string | number, c: number) => {
    const space = " ".repeat(widths[c]! - Bun.stringWidth(`${cell}`));
    return right[c] ? space + cell : cell + space;
  };
  return rows.map((row) => row.map(padded).join("  ").trimEnd()).join("\n");
}

/** 123456789 → "123,456,789". */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Bytes in the unit that keeps three figures: "19.7 MB". */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** 0.0123 → "1.23 %". */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
