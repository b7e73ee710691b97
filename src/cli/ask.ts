/** Questions in a terminal: the only user of the prompt library, which would hang without one and writes to stdout unasked. */
import { LolaError } from "../base/errors.ts";
import { isInteractive } from "./interactive.ts";
import type { Notes } from "./streams.ts";

/** The question was answered with Ctrl-C or Esc. */
export class Dismissed extends Error {
  override readonly name = "Dismissed";
}

export interface Choice {
  value: string;
  /** Shown in its place. */
  label?: string;
  hint?: string;
}

async function clack() {
  if (!isInteractive(true)) throw new LolaError("usage", "a question was asked where nobody can answer it");
  return import("@clack/prompts");
}

/** Asks for a text that is not empty. @throws Dismissed */
export async function askText(message: string, placeholder: string): Promise<string> {
  const prompts = await clack();
  const answer = await prompts.text({
    message,
    placeholder,
    output: process.stderr,
    validate: (value) => (value?.trim() ? undefined : "please type something, or press Ctrl-C"),
  });
  if (prompts.isCancel(answer)) throw new Dismissed();
  return answer.trim();
}

/** Asks for one of several. @throws Dismissed */
export async function askChoice(message: string, choices: readonly Choice[]): Promise<string> {
  const prompts = await clack();
  const options = choices.map((c) => ({
    value: c.value,
    label: c.label ?? c.value,
    ...(c.hint ? { hint: c.hint } : {}),
  }));
  const answer = await prompts.select({ message, options, output: process.stderr });
  if (prompts.isCancel(answer)) throw new Dismissed();
  return answer;
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The command line that would have done without questions, for next time. */
export function tellEquivalent(notes: Notes, words: readonly string[]): void {
  notes.tell(`same as: lola ${words.map(quoted).join(" ")}`);
}
