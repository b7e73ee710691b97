/** Templates: the strings that stand around the parts of an example, as data. */
import { readFileSync } from "node:fs";
import { DataError, LolaError } from "../base/errors.ts";

/** Each string holds its placeholders, such as `{instruction}`, once. Plain JSON: kept with a run and its adapter. */
export interface Template {
  name: string;
  /** Around Alpaca's parts; the output follows. */
  instructions?: {
    /** `{instruction}` */
    plain: string;
    /** `{instruction}` and `{input}` */
    input: string;
  };
  /** Around the turns of a conversation; an answer and the end-of-text token follow each turn. */
  chat?: {
    /** Begins a conversation without a system turn. */
    opening: string;
    /** `{system}`: begins one with it. */
    system: string;
    /** `{user}` */
    turn: string;
  };
}

const task = "Below is an instruction that describes a task";
const respond = "Write a response that appropriately completes the request.";
const turn = "### Instruction:\n{user}\n\n### Response:";

/**
 * The prompts that LOLA's instruction models were tuned with, Stanford Alpaca's
 * (https://github.com/tatsu-lab/stanford_alpaca), and the same for conversations: the first turn of one without a system
 * turn is the prompt of a plain instruction.
 */
export const alpaca: Template = {
  name: "alpaca",
  instructions: {
    plain: `${task}. ${respond}\n\n${turn.replace("{user}", "{instruction}")}`,
    input: `${task}, paired with an input that provides further context. ${respond}\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:`,
  },
  chat: { opening: `${task}. ${respond}\n\n`, system: "{system}\n\n", turn },
};

/** Parts of a template, their strings, and what each of them must hold. */
const parts = {
  instructions: { plain: ["instruction"], input: ["instruction", "input"] },
  chat: { opening: [], system: ["system"], turn: ["user"] },
} as const satisfies Record<string, Record<string, readonly string[]>>;

/**
 * Checks what a file or an adapter holds.
 * @param label names it in messages
 * @throws DataError (template.keys, template.text, template.placeholder)
 */
export function parseTemplate(value: unknown, label: string): Template {
  const top = fieldsOf(value, label, ["name", ...Object.keys(parts)]);
  const name = stringOf(top.name, `${label}: "name"`);
  const found: Record<string, Record<string, string>> = {};
  for (const [part, strings] of Object.entries(parts)) {
    if (top[part] === undefined) continue;
    const fields = fieldsOf(top[part], `${label}: "${part}"`, Object.keys(strings));
    found[part] = Object.fromEntries(
      Object.entries<readonly string[]>(strings).map(([key, placeholders]) => {
        const where = `${label}: "${part}.${key}"`;
        return [key, withPlaceholders(stringOf(fields[key], where), placeholders, where)];
      }),
    );
  }
  if (Object.keys(found).length > 0) return { name, ...found };
  throw new DataError("template.keys", `${label}: neither "instructions" nor "chat"`, example);
}

/**
 * A template from a file of YAML, of which JSON is a part: prompts run over several lines, and YAML shows them as they are.
 * @throws DataError as parseTemplate, and template.yaml; LolaError "usage" where there is no such file
 */
export function readTemplate(path: string): Template {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LolaError("usage", `${path}: the template cannot be read: ${code}`, "another --template", { cause });
  }
  let value: unknown;
  try {
    value = Bun.YAML.parse(text);
  } catch (cause) {
    const says = `${path}: neither YAML nor JSON: ${(cause as Error).message.replace("YAML Parse error: ", "")}`;
    throw new DataError("template.yaml", says, example, { cause });
  }
  return parseTemplate(value, path);
}

/** The string with its placeholders filled in; what is put in is not searched for more of them. */
export function fill(pattern: string, values: Readonly<Record<string, string>>): string {
  return pattern.replace(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(values, name) ? values[name]! : whole));
}

const example = `{name: mine, instructions: {plain: "Q: {instruction}\\nA:", input: "{input}\\nQ: {instruction}\\nA:"}}`;

function fieldsOf(value: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataError("template.keys", `${where}: not an object`, example);
  }
  const other = Object.keys(value).find((key) => !known.includes(key));
  if (other === undefined) return value as Record<string, unknown>;
  throw new DataError("template.keys", `${where}: "${other}" is none of ${known.join(", ")}`, example);
}

function stringOf(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  throw new DataError("template.text", `${where} is ${value === undefined ? "missing" : "not text"}`, example);
}

function withPlaceholders(pattern: string, placeholders: readonly string[], where: string): string {
  for (const name of placeholders) {
    const times = pattern.split(`{${name}}`).length - 1;
    if (times === 1) continue;
    const says = `${where} holds {${name}} ${times === 0 ? "nowhere" : `${times} times`}, not once`;
    throw new DataError("template.placeholder", says, `{${name}} where the ${name} goes`);
  }
  return pattern;
}
