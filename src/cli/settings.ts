/** Values that flags take when not given: environment, then configuration files, then defaults. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LolaError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { places } from "../base/paths.ts";
import { type Command, type Flag, type Flags, kebab } from "./table.ts";
import { parseValue } from "./values.ts";

type Environment = Record<string, string | undefined>;

/** One configuration file as read. */
interface Source {
  label: string;
  values: Record<string, unknown>;
}

export interface Setting {
  value: unknown;
  /** `LOLA_DEVICE`, `./lola.toml`, `~/.config/lola/config.toml` or `default`. */
  origin: string;
}

/** `maxTokens` → `LOLA_MAX_TOKENS`. */
export function variable(key: string): string {
  return `LOLA_${kebab(key).replaceAll("-", "_").toUpperCase()}`;
}

/** The files that are looked at, the one that wins first. */
export function configFiles(env: Environment = process.env): string[] {
  return ["lola.toml", join(places(env).config, "config.toml")];
}

/** @throws LolaError "usage" when a file is not TOML or sets something that is no setting of any command */
export function readConfig(commands: readonly Command[], env: Environment = process.env): Source[] {
  return configFiles(env)
    .filter((path) => existsSync(path))
    .map((path) => {
      const values = parseToml(path);
      checkKeys(path, values, commands);
      return { label: path === "lola.toml" ? "./lola.toml" : path, values };
    });
}

function parseToml(path: string): Record<string, unknown> {
  const text = readFileSync(path, "utf8");
  try {
    return Bun.TOML.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new LolaError("usage", `${path} is not valid TOML: ${(error as Error).message}`, undefined, { cause: error });
  }
}

/** Top-level keys are for all commands; a table named after a command is for it alone and wins. */
function checkKeys(path: string, values: Record<string, unknown>, commands: readonly Command[]): void {
  const all = commands.flatMap((c) => settingNames(c.flags));
  const known = (name: string, candidates: string[], where: string) => {
    if (candidates.includes(name)) return;
    const meant = nearest(name, candidates);
    throw new LolaError("usage", `${path}: no setting "${name}"${where}`, meant ?? "lola help configuration");
  };
  for (const [name, value] of Object.entries(values)) {
    const command = commands.find((c) => c.name === name);
    if (command && typeof value === "object" && value !== null) {
      for (const inner of Object.keys(value)) known(inner, settingNames(command.flags), ` in [${name}]`);
    } else {
      known(name, [...all, ...commands.map((c) => c.name)], "");
    }
  }
}

function settingNames(flags: Flags): string[] {
  return Object.entries(flags)
    .filter(([, flag]) => flag.setting)
    .map(([key]) => kebab(key));
}

/**
 * What a flag is when the command line does not give it.
 * @throws LolaError "usage" when the environment or a file holds a value that the flag does not accept
 */
export function settingOf(
  command: Command,
  key: string,
  flag: Flag,
  config: readonly Source[],
  env: Environment = process.env,
): Setting {
  if (flag.setting) {
    const name = variable(key);
    const fromEnv = env[name];
    if (fromEnv !== undefined) return { value: parseValue(flag, fromEnv, name), origin: name };
    for (const { label, values } of config) {
      const own = values[command.name] as Record<string, unknown> | undefined;
      const found = own?.[kebab(key)] ?? values[kebab(key)];
      if (found !== undefined) return { value: fromToml(flag, found, `${kebab(key)} in ${label}`), origin: label };
    }
  }
  return { value: defaultOf(flag), origin: "default" };
}

function defaultOf(flag: Flag): unknown {
  if (flag.type === "flag") return false;
  if (flag.type === "negated") return true;
  if (flag.type === "list") return [];
  return "default" in flag ? flag.default : undefined;
}

function fromToml(flag: Flag, found: unknown, where: string): unknown {
  if (flag.type === "list" && Array.isArray(found)) return found.map((item) => asText(item, where));
  return parseValue(flag, asText(found, where), where);
}

function asText(value: unknown, where: string): string {
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new LolaError("usage", `${where}: too large to be read exactly`, `${where.split(" ")[0]} = "…" in quotes`);
  }
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  throw new LolaError("usage", `${where}: expected one value`);
}
