/**
 * The two streams. stdout carries the result, stderr everything else.
 *
 * Writes are synchronous: what was written stays written when a signal ends the program, and a reader that went away is
 * noticed at the next write (through `console.log` Bun never notices).
 */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { LolaError } from "../base/errors.ts";
import { neutralise, type Style, styleOf } from "./style.ts";
import { systemReason } from "./system-errors.ts";

/** The reader of stdout closed it: nothing more is wanted, and that is no failure. */
export class ClosedPipe extends Error {
  override readonly name = "ClosedPipe";
}

const utf8 = new TextEncoder();

/** Writes all bytes; waits when a non-blocking pipe is full. */
function writeAll(fd: number, text: string): void {
  let rest = utf8.encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}

/** stdout: the result. */
export class Out {
  readonly terminal = isatty(1);
  readonly style: Style = styleOf(1);

  /** @throws ClosedPipe when nobody reads any more; LolaError "failed" when the disk is full */
  write(text: string): void {
    try {
      writeAll(1, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EPIPE") throw new ClosedPipe();
      const reason = systemReason(error) ?? (error as Error).message;
      throw new LolaError("failed", `cannot write to stdout: ${reason}`, undefined, { cause: error });
    }
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(toJson(value, this.terminal ? 2 : undefined));
  }

  /** Text made by a model: exact in a pipe, without control characters in a terminal. */
  model(text: string): void {
    this.write(this.terminal ? neutralise(text) : text);
  }
}

/** stderr: everything that is not the result. A closed stderr is ignored. */
export class Notes {
  readonly terminal = isatty(2);
  readonly style: Style = styleOf(2);
  /** Length of the progress line on the screen. */
  #shown = 0;

  constructor(readonly quiet: boolean) {}

  /** News that only somebody watching wants: silent in pipes and with --quiet. */
  tell(text: string): void {
    if (!this.terminal || this.quiet) return;
    if (this.#shown > 0) this.progress("");
    this.#write(`${this.style.dim(text)}\n`);
  }

  /** How far work of hours is: a line that stays, in pipes too; silent with --quiet. */
  log(text: string): void {
    if (this.quiet) return;
    this.progress("");
    this.#write(`${text}\n`);
  }

  /** What must not go unnoticed although the work goes on; silent with --quiet. */
  warn(text: string): void {
    if (!this.quiet) this.#write(`lola: ${text}\n`);
  }

  error(text: string): void {
    this.#write(`${text}\n`);
  }

  /** Replaces the current line of a terminal; "" clears it. Silent in pipes, dumb terminals and with --quiet. */
  progress(text: string): void {
    if (!this.terminal || this.quiet || process.env.TERM === "dumb" || process.env.CI) return;
    const line = text.slice(0, (process.stderr.columns || 80) - 1);
    this.#write(`\r${line.padEnd(this.#shown)}\r${line}`);
    this.#shown = line.length;
  }

  #write(text: string): void {
    try {
      writeAll(2, text);
    } catch {
      // Nobody reads the notes: the result does not depend on them.
    }
  }
}

/**
 * JSON as every command prints it: keys in snake_case, 64-bit integers as decimal strings (JSON numbers would be rounded
 * by most readers).
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : isRecord(v) ? snakeKeys(v) : v), indent);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function snakeKeys(record: Record<string, unknown>): Record<string, unknown> {
  const snake = (key: string) => key.replace(/([a-z\d])([A-Z])/g, (_, a, b) => `${a}_${b.toLowerCase()}`);
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [snake(key), value]));
}
