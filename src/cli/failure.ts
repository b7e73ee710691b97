/** One place where an error becomes words and an exit code. */
import { LolaError } from "../base/errors.ts";
import { Dismissed } from "./ask.ts";
import type { Context } from "./context.ts";
import { ClosedPipe, type Notes } from "./streams.ts";
import { systemReason } from "./system-errors.ts";

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
  const { path, message } = error as NodeJS.ErrnoException;
  const reason = systemReason(error);
  if (reason !== undefined) {
    notes.error(`${style.red("lola:")} ${path ?? message}: ${reason}`);
    return 1;
  }
  notes.error(`${style.red("lola:")} ${message ?? String(error)} (a bug; --debug shows where)`);
  return 1;
}
