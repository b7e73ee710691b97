/**
 * Command line → command, arguments and typed flags.
 *
 * cac routes the command and counts its arguments, but it coerces what it reads ("007" → 7, "" → 0) and refuses values
 * that begin with "-". So values and arguments are taken from the raw words first, cac gets a placeholder for each, and
 * the raw text is put back afterwards.
 */
import { type CAC, cac } from "cac";
import { LolaError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { type Command, commonFlags, type Flag, type Flags, flagsOf, longName, takesValue } from "./table.ts";
import { parseValue } from "./values.ts";

export interface Parsed {
  command: Command;
  action: string;
  args: string[];
  /** Given flags only; defaults and settings come later. */
  given: Record<string, unknown>;
}

/** The words before the verb: flags that make sense without one. */
export interface Lead {
  verb: string | undefined;
  /** Flags before the verb, to be read as if they stood after it. */
  flags: string[];
  rest: string[];
}

/** Splits off the verb. `--version` and `--help` may stand alone. */
export function splitVerb(words: readonly string[]): Lead {
  const at = words.findIndex((w) => !w.startsWith("-") || w === "-" || w === "--");
  if (at < 0 || words[at] === "--") return { verb: undefined, flags: [...words], rest: [] };
  return { verb: words[at], flags: words.slice(0, at), rest: words.slice(at + 1) };
}

/** @throws LolaError "usage" with the nearest verb */
export function findCommand(commands: readonly Command[], verb: string): Command {
  const command = commands.find((c) => c.name === verb);
  if (command) return command;
  const names = commands.map((c) => c.name);
  const meant = nearest(verb, names);
  throw new LolaError("usage", `unknown command "${verb}"`, meant ? `lola ${meant}` : "lola --help");
}

/**
 * @param words what follows the verb
 * @throws LolaError "usage": unknown flag (with the nearest one), missing or bad value, too many arguments
 */
export function parse(command: Command, words: readonly string[]): Parsed {
  const flags = flagsOf(command);
  const { masked, raw } = mask(command, flags, words);
  const { args, options } = route(command, flags, masked);
  const text = (placeholder: string) => raw[Number(placeholder.slice(1))]!;

  const given: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(flags)) {
    const seen = [options[key]].flat();
    if (!takesValue(flag)) {
      if (seen.includes(flag.type === "flag")) given[key] = flag.type === "flag";
      continue;
    }
    const values = seen.filter((v) => typeof v === "string").map(text);
    if (flag.type === "list") {
      if (values.length > 0) given[key] = values;
    } else if (values.length > 0) {
      given[key] = parseValue(flag, values.at(-1)!, longName(key, flag));
    }
  }
  const plain = args.map(text);
  return { command, ...takeAction(command, plain, given.help === true), given };
}

/** Replaces each value and argument by `@N`, its place in `raw`. */
function mask(command: Command, flags: Flags, words: readonly string[]): { masked: string[]; raw: string[] } {
  const masked: string[] = [];
  const raw: string[] = [];
  const hold = (text: string) => `@${raw.push(text) - 1}`;
  const byName = new Map<string, [string, Flag]>();
  for (const [key, flag] of Object.entries(flags)) {
    byName.set(longName(key, flag), [key, flag]);
    if (flag.short) byName.set(`-${flag.short}`, [key, flag]);
  }

  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === "--") {
      masked.push(...words.slice(i + 1).map(hold));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      masked.push(hold(word));
      continue;
    }
    for (const { name, attached } of splitWord(word, byName)) {
      const entry = byName.get(name);
      if (!entry) throw unknownFlag(command, name, [...byName.keys()], words);
      const [key, flag] = entry;
      const long = longName(key, flag);
      if (!takesValue(flag)) {
        if (attached !== undefined) throw new LolaError("usage", `${long} takes no value, got "${attached}"`);
        masked.push(long);
      } else {
        masked.push(`${long}=${hold(attached ?? nextWord(words, ++i, long, flag.value, byName))}`);
      }
    }
  }
  return { masked, raw };
}

/** `--name=value` → one flag; `-qn5` → -q, -n with "5". */
function splitWord(word: string, byName: Map<string, [string, Flag]>): { name: string; attached?: string }[] {
  if (word.startsWith("--")) {
    const at = word.indexOf("=");
    return at < 0 ? [{ name: word }] : [{ name: word.slice(0, at), attached: word.slice(at + 1) }];
  }
  const parts: { name: string; attached?: string }[] = [];
  for (let i = 1; i < word.length; i++) {
    const name = `-${word[i]}`;
    const entry = byName.get(name);
    if (!entry) return [{ name: word }];
    if (!takesValue(entry[1]) || i + 1 === word.length) {
      parts.push({ name });
    } else {
      parts.push({ name, attached: word.slice(i + 1).replace(/^=/, "") });
      break;
    }
  }
  return parts;
}

/** The word after a flag is its value even if it begins with "-", unless it is plainly the next flag. */
function nextWord(
  words: readonly string[],
  at: number,
  long: string,
  value: string,
  byName: Map<string, unknown>,
): string {
  const word = words[at];
  if (word === undefined || word === "--" || byName.has(word)) {
    const found = word === undefined ? "" : `, found the flag ${word}`;
    const hint = word === undefined ? `${long} ${value}` : `${long}=${word} if that is the value`;
    throw new LolaError("usage", `${long} needs a value (${value})${found}`, hint);
  }
  return word;
}

function unknownFlag(command: Command, name: string, known: string[], words: readonly string[]): LolaError {
  const meant = nearest(name, known);
  const prompt = words.find((w) => w.startsWith("-") && (/\s/.test(w) || /^-\d/.test(w)));
  const hint = prompt
    ? `lola ${command.name} -- ${JSON.stringify(prompt)}`
    : meant
      ? `lola ${command.name} ${meant}`
      : `lola ${command.name} --help`;
  return new LolaError("usage", `unknown flag ${name.split(/\s/)[0]} of lola ${command.name}`, hint);
}

/** cac's part: which options were seen, repeated ones gathered, and the count of arguments checked. */
function route(command: Command, flags: Flags, masked: string[]): { args: string[]; options: Record<string, unknown> } {
  const cli: CAC = cac("lola");
  const places = command.args.map((a) => (a.many ? `[...${a.name}]` : `[${a.name}]`));
  const registered = cli.command([command.name, ...(command.actions ? ["[action]"] : []), ...places].join(" "));
  for (const [key, flag] of Object.entries(flags)) {
    registered.option(longName(key, flag) + (takesValue(flag) ? " <value>" : ""), flag.doc);
  }
  const parsed = cli.parse(["", "", command.name, ...masked], { run: false });
  try {
    registered.checkUnusedArgs();
  } catch {
    const takes = command.args.length + (command.actions ? 1 : 0);
    const most = takes === 0 ? "no arguments" : takes === 1 ? "one argument" : `at most ${takes} arguments`;
    const got = parsed.args.length;
    throw new LolaError("usage", `lola ${command.name} takes ${most}, got ${got}`, `lola ${command.name} --help`);
  }
  return { args: [...parsed.args], options: parsed.options };
}

function takeAction(command: Command, args: string[], help: boolean): { action: string; args: string[] } {
  if (!command.actions) return { action: "", args };
  const names = Object.keys(command.actions);
  const first = args[0];
  if (first === undefined) {
    if (command.usual || help) return { action: command.usual ?? "", args };
    throw new LolaError(
      "usage",
      `lola ${command.name} needs an action: ${names.join(", ")}`,
      `lola ${command.name} ${names[0]}`,
    );
  }
  if (names.includes(first)) return { action: first, args: args.slice(1) };
  const meant = nearest(first, names);
  const hint = meant ? `lola ${command.name} ${meant}` : `lola ${command.name} --help`;
  throw new LolaError("usage", `lola ${command.name} has no action "${first}": ${names.join(", ")}`, hint);
}

/** Are the words before the verb all flags that every command knows? @throws LolaError "usage" otherwise */
export function checkLead(flags: readonly string[]): void {
  const known = [
    "--version",
    ...Object.entries(commonFlags).flatMap(([key, flag]) => [
      longName(key, flag),
      ...("short" in flag ? [`-${flag.short}`] : []),
    ]),
  ];
  const unknown = flags.find((f) => !known.includes(f));
  if (unknown === undefined) return;
  const meant = nearest(unknown, known);
  throw new LolaError("usage", `unknown flag ${unknown} before the command`, meant ? `lola ${meant}` : "lola --help");
}
