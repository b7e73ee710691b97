/** One row of data → one example, checked. */
import { DataError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { type Kind, kindOf } from "./kinds.ts";
import { isLanguage } from "./sources.ts";

export type Role = "system" | "user" | "assistant";

/** What one side says in a conversation. */
export interface Turn {
  role: Role;
  content: string;
}

/** What is learnt from one row. Turns: perhaps the system's, then the user's and the assistant's by turns. */
export type Example =
  | { kind: "text"; text: string }
  | { kind: "completion"; prompt: string; completion: string }
  | { kind: "alpaca"; instruction: string; input: string; output: string }
  | { kind: "messages" | "conversations"; turns: Turn[] };

export interface ParsedRow {
  example: Example;
  /** As the row's `lang` says. */
  language: string | undefined;
}

/** How each of the two kinds of conversation names its parts. */
const spellings: Record<"messages" | "conversations", { role: string; content: string; roles: Map<string, Role> }> = {
  messages: {
    role: "role",
    content: "content",
    roles: new Map([
      ["system", "system"],
      ["user", "user"],
      ["assistant", "assistant"],
    ]),
  },
  conversations: {
    role: "from",
    content: "value",
    roles: new Map([
      ["system", "system"],
      ["human", "user"],
      ["gpt", "assistant"],
      ["user", "user"],
      ["assistant", "assistant"],
    ]),
  },
};

/**
 * Checks a row and takes from it what its kind needs; other keys are left out.
 * @param expected kind of the file's rows before, if there were any
 * @param where names file and line
 * @throws DataError data.keys, data.kind, data.value, data.blank, data.role, data.turns, data.language
 */
export function parseRow(value: unknown, where: () => string, expected?: Kind): ParsedRow {
  if (!isObject(value)) throw new DataError("data.value", `${where()}: ${described(value)}, not an object`, objects);
  const kind = kindOf(Object.keys(value), where, expected);
  return { example: exampleOf(value, kind, where), language: languageOf(value.lang, where) };
}

const objects = 'objects such as {"prompt": "Habari?", "completion": "Nzuri!"}';

type Row = Record<string, unknown>;

function exampleOf(row: Row, kind: Kind, where: () => string): Example {
  switch (kind) {
    case "text":
      return { kind, text: learnt(row, "text", where) };
    case "completion":
      return { kind, prompt: stringOf(row, "prompt", where), completion: learnt(row, "completion", where) };
    case "alpaca": {
      const input = row.input == null ? "" : stringOf(row, "input", where);
      return { kind, instruction: filled(row, "instruction", where), input, output: learnt(row, "output", where) };
    }
    default:
      return { kind, turns: turnsOf(row[kind], kind, where) };
  }
}

function turnsOf(list: unknown, kind: keyof typeof spellings, where: () => string): Turn[] {
  if (!Array.isArray(list)) {
    throw new DataError(
      "data.value",
      `${where()}: "${kind}" is ${described(list)}, not a list of turns`,
      turnsHint(kind),
    );
  }
  const turns = list.map((item: unknown, i) => turnOf(item, kind, () => `${where()}, turn ${i + 1}`));
  checkOrder(turns, kind, where);
  return turns;
}

function turnOf(item: unknown, kind: keyof typeof spellings, where: () => string): Turn {
  const { role, content, roles } = spellings[kind];
  if (!isObject(item)) {
    throw new DataError("data.value", `${where()}: ${described(item)}, not an object`, turnsHint(kind));
  }
  const missing = [role, content].find((key) => !(key in item));
  if (missing !== undefined) {
    const keys = Object.keys(item).join(", ") || "none";
    throw new DataError("data.keys", `${where()}: no "${missing}"; keys: ${keys}`, turnsHint(kind));
  }
  const named = item[role];
  const known = typeof named === "string" ? roles.get(named) : undefined;
  if (!known) {
    const all = [...roles.keys()];
    const meant = typeof named === "string" ? nearest(named, all) : undefined;
    const says = `${where()}: "${role}" is ${described(named)}, none of ${all.join(", ")}`;
    throw new DataError("data.role", says, meant === undefined ? turnsHint(kind) : `"${meant}"`);
  }
  return { role: known, content: filled(item, content, where) };
}

/** Perhaps the system, then user and assistant by turns, the assistant last. */
function checkOrder(turns: readonly Turn[], kind: keyof typeof spellings, where: () => string): void {
  const wrong = (says: string, hint: string) => new DataError("data.turns", `${where()}${says}`, hint);
  if (!turns.some(({ role }) => role === "assistant")) {
    throw wrong(": no turn of the assistant, so nothing to learn", turnsHint(kind));
  }
  const first = turns[0]!.role === "system" ? 1 : 0;
  for (let i = first; i < turns.length; i++) {
    const { role } = turns[i]!;
    if (role === ((i - first) % 2 === 0 ? "user" : "assistant")) continue;
    const at = `, turn ${i + 1}: `;
    if (role === "system")
      throw wrong(`${at}the system speaks first or not at all`, "system turns joined into the first");
    if (i === first) throw wrong(`${at}the assistant begins, but the user does`, "conversations from a question on");
    throw wrong(`${at}two turns of the ${role} in a row`, "one turn with both, or two examples");
  }
  if (turns.at(-1)!.role === "user") {
    throw wrong(`, turn ${turns.length}: the user speaks last, so it has no answer`, "conversations up to an answer");
  }
}

function turnsHint(kind: keyof typeof spellings): string {
  const { role, content, roles } = spellings[kind];
  const [, user, assistant] = [...roles.keys()];
  return `"${kind}": [{"${role}": "${user}", "${content}": "…"}, {"${role}": "${assistant}", "${content}": "…"}]`;
}

function languageOf(lang: unknown, where: () => string): string | undefined {
  if (lang == null || lang === "") return undefined;
  if (isLanguage(lang)) return lang;
  const says = `${where()}: "lang" is ${described(lang)}, no name of at most 32 letters, digits, - and _`;
  throw new DataError("data.language", says, '"swa" or "cmn_hans", or rows without "lang"');
}

/** Text that a model learns to say. */
function learnt(row: Row, key: string, where: () => string): string {
  return filled(row, key, where, "nothing to learn; leave the row out");
}

/** Text that is not blank. */
function filled(row: Row, key: string, where: () => string, hint = "leave the row out"): string {
  const text = stringOf(row, key, where);
  if (text.trim() !== "") return text;
  throw new DataError("data.blank", `${where()}: "${key}" is ${text === "" ? "empty" : "blank"}`, hint);
}

function stringOf(row: Row, key: string, where: () => string): string {
  const value = row[key];
  if (typeof value === "string") return value;
  const parts = Array.isArray(value) && value.some((part) => isObject(part) && "type" in part);
  const found = parts ? "a list of parts" : described(value);
  const hint = parts ? "one string with the text of the parts" : value === null ? "leave the row out" : `"${key}": "…"`;
  throw new DataError("data.value", `${where()}: "${key}" is ${found}, not text`, hint);
}

function isObject(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function described(value: unknown): string {
  if (value == null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : `the ${typeof value} ${value}`;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
