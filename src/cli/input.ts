/** Text that a command works on: arguments, a file, stdin. */
import { fstatSync, readFileSync } from "node:fs";
import { LolaError } from "../base/errors.ts";
import type { Notes } from "./streams.ts";
import { systemReason } from "./system-errors.ts";

/** Exact text of UTF-8 bytes. @throws LolaError "usage" when they are something else */
function decode(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new LolaError("usage", `${label} is not UTF-8 text`, "iconv -t UTF-8 converts it", { cause });
  }
}

/** Silence on stdin after which it is told what is waited for, in ms. */
const patience = 3000;

/** All of stdin. Programs that start others often leave them a pipe that never ends: then it is told why nothing happens. */
export async function readStdin(notes: Notes): Promise<string> {
  const timer = setTimeout(() => notes.warn("waiting for stdin; < /dev/null if there is nothing to read"), patience);
  const pieces: Uint8Array[] = [];
  for await (const piece of Bun.stdin.stream()) {
    clearTimeout(timer);
    pieces.push(piece);
  }
  clearTimeout(timer);
  return decode(Buffer.concat(pieces), "stdin");
}

/** Text of a file; `-` is stdin. @throws LolaError "usage" when it cannot be read */
export async function readText(path: string, notes: Notes): Promise<string> {
  if (path === "-") return readStdin(notes);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const reason = systemReason(error) ?? (error as Error).message;
    throw new LolaError("usage", `${path}: ${reason}`, "-f FILE, or - for stdin", { cause: error });
  }
  return decode(bytes, path);
}

/** Is something piped or redirected in? A terminal, /dev/null and a closed stdin hold nothing to read. */
export function hasStdin(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false;
  }
}

/**
 * The input of a command: its arguments joined by blanks; else the file; else what is piped in. A lone `-` is stdin.
 * @returns undefined when there is none of them
 */
export async function readInput(
  args: readonly string[],
  file: string | undefined,
  notes: Notes,
): Promise<string | undefined> {
  if (args.length === 1 && args[0] === "-") return readStdin(notes);
  if (args.length > 0) return args.join(" ");
  if (file !== undefined) return readText(file, notes);
  return hasStdin() ? readStdin(notes) : undefined;
}
