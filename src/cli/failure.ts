/** One place where an error becomes words and an exit code. */
import { LolaError } from "../base/errors.ts";
import { Dismissed } from "./ask.ts";
import type { Context } from "./context.ts";
import { ClosedPipe, type Notes } from "./streams.ts";

const systemErrors: Record<string, string> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EISDIR: "is a folder",
  ENOTDIR: "is not a folder",
  ENOSPC: "no space left on the device",
  EROFS: "the file system is read-only",
  EEXIST: "already exists",
};

/** Prints what went wrong, unless it is no failure. @returns the exit code */
export function report(error: unknown, notes: Notes, debug: boolean, context?: Context): number {
  if (error instanceof ClosedPipe) return 0;
  if (error instanceof Dismissed) return 130;
  if (context?.interrupted) return context.interrupted.code;
  const { style } = notes;
  if (debug) notes.error(String((error as Error)?.stack ?? error));
  if (error instanceof LolaError) {
    notes.error(`${style.red("lola:")} ${error.message}`);
    if (error.hint) notes.error(`try: ${error.hint}`);
    return error.exitCode;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code && code in systemErrors) {
    notes.error(`${style.red("lola:")} ${path ?? message}: ${systemErrors[code]}`);
    return code === "ENOENT" || code === "EISDIR" || code === "ENOTDIR" ? 2 : 1;
  }
  notes.error(`${style.red("lola:")} ${message ?? String(error)} (a bug; --debug shows where)`);
  return 1;
}
