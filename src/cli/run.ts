/** One run of the program: words in, exit code out. */
import { LolaError } from "../base/errors.ts";
import { commands } from "./commands/index.ts";
import { Context } from "./context.ts";
import { report } from "./failure.ts";
import { commandHelp, overview } from "./help.ts";
import { checkLead, findCommand, type Parsed, parse, splitVerb } from "./parse.ts";
import { readConfig, settingOf } from "./settings.ts";
import { Notes, Out } from "./streams.ts";
import { type Command, flagsOf } from "./table.ts";

/**
 * @param words the command line without the program's name
 * @param exit ends the process at once, for a second Ctrl-C
 * @returns the exit code (`lola help exit-codes`)
 */
export async function run(words: readonly string[], version: string, exit: (code: number) => void): Promise<number> {
  const plainFlags = words.includes("--") ? words.slice(0, words.indexOf("--")) : words;
  const debug = plainFlags.includes("--debug");
  let context: Context | undefined;
  try {
    const { verb, flags, rest } = splitVerb(words);
    checkLead(flags);
    if (flags.includes("--version")) {
      new Out().line(`lola ${version}`);
      return 0;
    }
    if (verb === undefined) return help(flags.includes("--help") || flags.includes("-h"));
    const command = findCommand(commands, verb);
    const parsed = parse(command, [...flags, ...rest]);
    if (parsed.given.help) {
      const out = new Out();
      out.write(commandHelp(command, out.style));
      return 0;
    }
    context = prepare(parsed, rest, exit);
    const result = await command.run(context);
    if (result !== undefined) print(command, result, context);
    return context.interrupted?.code ?? 0;
  } catch (error) {
    return report(error, new Notes(false), debug, context);
  }
}

function help(asked: boolean): number {
  const out = new Out();
  if (!asked) throw new LolaError("usage", "no command given", "lola --help");
  out.write(overview(commands, out.style));
  return 0;
}

function prepare(
  { command, action, args, given }: Parsed,
  words: readonly string[],
  exit: (code: number) => void,
): Context {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  const all = Object.entries(flagsOf(command));
  const config = all.some(([, flag]) => flag.setting) ? readConfig(commands) : [];
  for (const [key, flag] of all) {
    const setting =
      key in given ? { value: given[key], origin: "command line" } : settingOf(command, key, flag, config);
    values[key] = setting.value;
    origins.set(key, setting.origin);
  }
  return new Context(words, action, args, values, new Notes(values.quiet === true), origins, exit);
}

function print(command: Command, result: unknown, context: Context): void {
  const { out } = context;
  if (context.json) out.json(result);
  else if (command.show) out.write(`${command.show(result, out.style).replace(/\n+$/, "")}\n`);
}
