/** What a command is: one value holds its words, flags and work; parser, help, man page, completions and README read it. */
import type { Context } from "./context.ts";
import type { Style } from "./style.ts";

/** What a shell offers where this value goes. */
export type Completion = "file" | "directory" | "model";

interface Common {
  /** One line, no full stop. */
  doc: string;
  short?: string;
  /** Heading in help; flags of one heading stand together. */
  category?: string;
  /** May also come from `LOLA_NAME` and from the configuration files. */
  setting?: true;
}

export type Flag = Common &
  (
    | { type: "flag" }
    /** On unless `--no-NAME` is given. */
    | { type: "negated" }
    | { type: "text"; value: string; default?: string; complete?: Completion }
    | { type: "choice"; value: string; choices: readonly string[]; default?: string }
    | { type: "integer" | "float"; value: string; default?: number; min?: number; max?: number }
    /** A whole number that may be written with k, M, G or T: 20M. */
    | { type: "count"; value: string; default?: number; min?: number }
    /** Bytes: 4GiB, 500MB, 2.5G. */
    | { type: "size"; value: string; default?: number }
    /** A share, written in percent: 2%, 0.5. */
    | { type: "percent"; value: string }
    /** A 64-bit unsigned integer, kept exact. */
    | { type: "seed"; value: string }
    /** Text that may be given several times. */
    | { type: "list"; value: string }
  );

/** Flags by name in camel case: `maxTokens` is `--max-tokens`. */
export type Flags = Readonly<Record<string, Flag>>;

type Optional<F, T> = F extends { default: string | number } ? T : T | undefined;

/** What a flag becomes after parsing. */
export type Value<F extends Flag> = F extends { type: "flag" | "negated" }
  ? boolean
  : F extends { type: "list" }
    ? string[]
    : F extends { type: "seed" }
      ? bigint | undefined
      : F extends { type: "integer" | "float" | "count" | "size" | "percent" }
        ? Optional<F, number>
        : F extends { type: "choice"; choices: readonly (infer C)[] }
          ? Optional<F, C>
          : Optional<F, string>;

export type Values<F extends Flags> = { [K in keyof F]: Value<F[K]> };

export interface Argument {
  /** Lower case; help prints it in capitals. */
  name: string;
  doc: string;
  /** Any number of them. */
  many?: true;
  complete?: Completion;
}

export interface Example {
  line: string;
  doc: string;
}

interface Spec<F extends Flags, A extends string, R> {
  name: string;
  /** One line for lists of commands. */
  summary: string;
  examples: readonly Example[];
  /** First words that choose between kinds of work, each with its one line: `models list`. */
  actions?: Readonly<Record<A, string>>;
  /** The action when none is given; without it one is required. */
  usual?: NoInfer<A>;
  args: readonly Argument[];
  flags: F;
  /** Further paragraphs of the help: what is not obvious from the flags. */
  notes?: readonly string[];
  /** Does the work. What it returns is printed: by `show` for people, as it is with `--json`. */
  run(context: Context<Values<F>, A>): Promise<R | undefined>;
  /** The result for people. Commands with it take `--json`. */
  show?(result: R, style: Style): string;
}

/** A command with its flag names and result erased, as the parser and the documents see it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly examples: readonly Example[];
  readonly actions?: Readonly<Record<string, string>>;
  readonly usual?: string;
  readonly args: readonly Argument[];
  readonly flags: Flags;
  readonly notes?: readonly string[];
  run(context: Context<Record<string, unknown>, string>): Promise<unknown>;
  show?(result: unknown, style: Style): string;
}

/** Checks a command's parts against each other while its names are still known, then erases them. */
export function defineCommand<const F extends Flags, R = never, const A extends string = never>(
  spec: Spec<F, A, R>,
): Command {
  return spec as unknown as Command;
}

/** Flags that every command takes. */
export const commonFlags = {
  quiet: { type: "flag", short: "q", doc: "print nothing but the result and errors", category: "Common" },
  input: { type: "negated", doc: "never ask questions, even in a terminal", category: "Common" },
  debug: { type: "flag", doc: "show a stack trace with an error", category: "Common" },
  help: { type: "flag", short: "h", doc: "show this help", category: "Common" },
} as const satisfies Flags;

const jsonFlag = {
  json: { type: "flag", doc: "print the result as one JSON object", category: "Common" },
} as const satisfies Flags;

/** All flags of a command, its own first. */
export function flagsOf(command: Command): Flags {
  return { ...command.flags, ...(command.show ? jsonFlag : {}), ...commonFlags };
}

/** `maxTokens` → `max-tokens`. */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
}

/** The long form as typed: `--max-tokens`, `--no-stream`. */
export function longName(key: string, flag: Flag): string {
  return flag.type === "negated" ? `--no-${kebab(key)}` : `--${kebab(key)}`;
}

export function takesValue(flag: Flag): flag is Extract<Flag, { value: string }> {
  return flag.type !== "flag" && flag.type !== "negated";
}

/** `lola generate [PROMPT...]`, as shown on top of help. */
export function usage(command: Command): string {
  const action = command.actions ? (command.usual ? " [ACTION]" : " ACTION") : "";
  const args = command.args.map((a) => ` [${a.name.toUpperCase()}${a.many ? "..." : ""}]`);
  return `lola ${command.name}${action}${args.join("")} [flags]`;
}
