/** What `lola specialize` must be told: asked for in a terminal, an error elsewhere. */
import { LolaError } from "../base/errors.ts";
import { askText, tellEquivalent } from "./ask.ts";
import { required } from "./context.ts";
import type { SpecializeContext } from "./specialize-flags.ts";

const example = "lola specialize --lang swa --keep 25% -o small.lola";

/** @throws LolaError "usage" naming what is missing where nobody can be asked; Dismissed */
export async function specializeChoices(context: SpecializeContext): Promise<{ languages: string[]; output: string }> {
  const { flags, interactive, notes, words } = context;
  let { lang, output } = flags;
  const more: string[] = [];
  if (interactive && lang === undefined) {
    lang = await askText("Which languages is it for?", "swa,lin");
    more.push("--lang", lang);
  }
  if (interactive && output === undefined) {
    output = await askText("Which file is it to go to?", "small.lola");
    more.push("-o", output);
  }
  if (more.length > 0) tellEquivalent(notes, ["specialize", ...words, ...more]);
  const codes = required(lang, "--lang A,B, the languages to keep experts for", example).split(",");
  const languages = [...new Set(codes.map((code) => code.trim()))];
  if (languages.includes("")) throw new LolaError("usage", `--lang ${JSON.stringify(lang)} names no language`, example);
  return { languages, output: required(output, "-o FILE, the file to write", example) };
}

/** "4" or "25%" of so many experts. @throws LolaError "usage" unless that is 1 or more, and fewer than all */
export function keptExperts(raw: string, experts: number): number {
  const [, digits, share] = /^(\d+(?:\.\d+)?)(%?)$/.exec(raw) ?? [];
  const value = share ? Math.max(1, Math.round((Number(digits) * experts) / 100)) : Number(digits);
  if (Number.isInteger(value) && value >= 1 && value < experts && Number(digits) > 0) return value;
  throw new LolaError(
    "usage",
    `--keep ${raw}: of the ${experts} experts of a layer, 1 to ${experts - 1} can stay`,
    experts > 1 ? `--keep ${Math.max(1, experts >> 2)}` : "a model of several experts",
  );
}
