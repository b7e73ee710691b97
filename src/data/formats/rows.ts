/** Rows as every format gives them. */

export interface Rows {
  values: readonly unknown[];
  /** File and line of a row, for messages. */
  where(i: number): string;
}

/** Rows that are handed on at once. */
export const ROWS_AT_ONCE = 1024;
