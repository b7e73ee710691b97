/** Puts a prompt together from all that a command line gives, and makes it fit. */
import { LolaError } from "../base/errors.ts";
import { hasStdin, readStdin, readText } from "./input.ts";
import type { Notes } from "./streams.ts";

export interface PromptSources {
  args: readonly string[];
  file: string | undefined;
  /** As typed: "12,7". */
  ids: string | undefined;
}

/** Ids as people and programs write them: 1,2,3 or [1, 2, 3] or one a line. @throws LolaError "usage" */
export function parseIds(text: string): number[] {
  const words = text
    .replace(/^\s*\[|\]\s*$/g, "")
    .split(/[\s,]+/)
    .filter(Boolean);
  return words.map((word) => {
    const id = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (Number.isSafeInteger(id)) return id;
    throw new LolaError("usage", `"${word.slice(0, 40)}" is no token id`, "12,7,93");
  });
}

/** A prompt as given: ids, then text. */
export interface Prompt {
  ids: number[];
  text: string;
}

/**
 * The prompt: the given ids, then the text of the file, of stdin and of the arguments joined by blanks.
 * The last line end of a file or of stdin is left out: `echo` and editors add it, nobody means it.
 * @throws LolaError "usage" when there is no prompt at all
 */
export async function readPrompt({ args, file, ids }: PromptSources, notes: Notes): Promise<Prompt> {
  const pieces: string[] = [];
  const add = (text: string) => {
    const trimmed = text.replace(/\r?\n$/, "");
    if (trimmed !== "") pieces.push(trimmed);
  };
  if (file !== undefined && file !== "-") add(await readText(file, notes));
  if (file === "-" || args.includes("-") || hasStdin()) add(await readStdin(notes));
  const words = args.filter((a) => a !== "-");
  if (words.length > 0) pieces.push(words.join(" "));
  if (pieces.length === 0 && ids === undefined) {
    throw new LolaError("usage", "no prompt", 'lola generate "All human beings", or pipe text in, or -f FILE');
  }
  return { ids: ids === undefined ? [] : parseIds(ids), text: pieces.join(" ") };
}

export interface Fitting {
  /** Positions of the model. */
  context: number;
  maxTokens: number;
  /** Which end may be cut off. */
  truncate: "head" | "tail" | undefined;
}

/**
 * The prompt, cut if that was asked for so that `maxTokens` (at most half of the context) fit after it.
 * @throws LolaError "usage" with both numbers when it is too long otherwise
 */
export function fitPrompt(ids: number[], { context, maxTokens, truncate }: Fitting): number[] {
  if (ids.length < context) return ids;
  const kept = context - Math.max(1, Math.min(maxTokens, Math.floor(context / 2)));
  if (truncate === "head") return ids.slice(ids.length - kept);
  if (truncate === "tail") return ids.slice(0, kept);
  throw new LolaError(
    "usage",
    `the prompt has ${ids.length} tokens, the model's context holds ${context} with the text to come`,
    `--truncate head (keeps the last ${kept} tokens) or --truncate tail (keeps the first ${kept})`,
  );
}
