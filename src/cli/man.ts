/** The man page, lola(1), from the commands themselves. */
import { version } from "../base/version.ts";
import { byCategory, describe } from "./help.ts";
import { variable } from "./settings.ts";
import { type Command, type Flag, flagsOf, longName, takesValue, usage } from "./table.ts";
import { topics } from "./topics.ts";

/** Text as roff shows it: hyphens stay hyphens, no line begins a request by accident. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");
}

function entry([key, flag]: [string, Flag]): string {
  const names = [...(flag.short ? [`-${flag.short}`] : []), longName(key, flag)].map((n) => `\\fB${roff(n)}\\fR`);
  const value = takesValue(flag) ? ` \\fI${roff(flag.value)}\\fR` : "";
  const setting = flag.setting ? `; also set by ${variable(key)} and the configuration files` : "";
  return `.TP\n${names.join(", ")}${value}\n${roff(describe(flag) + setting)}.`;
}

function section(command: Command): string {
  const parts = [`.SS ${usage(command).replace("[flags]", "").trim()}`, roff(`${command.summary}.`)];
  for (const [name, doc] of Object.entries(command.actions ?? {}))
    parts.push(`.TP\n\\fB${roff(name)}\\fR\n${roff(doc)}.`);
  for (const [, flags] of byCategory(command.flags)) parts.push(...flags.map(entry));
  for (const note of command.notes ?? []) parts.push(`.PP\n${roff(note)}`);
  const examples = command.examples.map(({ line, doc }) => `# ${doc}\n${line}`).join("\n");
  parts.push(`.PP\n.nf\n${roff(examples)}\n.fi`);
  return parts.join("\n");
}

export function manPage(commands: readonly Command[]): string {
  const common = Object.entries(flagsOf(commands[0]!)).filter(([, flag]) => flag.category === "Common");
  const about = topics.map((t) => `.SH ${t.name.toUpperCase()}\n.nf\n${roff(t.text)}\n.fi`);
  return `${[
    `.TH LOLA 1 "" "lola ${version}"`,
    ".SH NAME",
    "lola \\- multilingual mixture\\-of\\-experts language models in one executable",
    ".SH SYNOPSIS",
    "\\fBlola\\fR \\fICOMMAND\\fR [flags]",
    ".SH COMMANDS",
    ...commands.map(section),
    ".SH COMMON FLAGS",
    ...common.map(entry),
    ...about,
  ].join("\n")}\n`;
}
