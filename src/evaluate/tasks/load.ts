/** Finds the tasks that are asked for: those that ship, by name, and YAML files with what they include. */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseDocument } from "yaml";
import { LolaError } from "../../base/errors.ts";
import { iso3 } from "./codes.ts";
import { shipped } from "./shipped.ts";
import { type Fields, PythonFunction, parseTask, type Task } from "./task.ts";

/** A task that ships, for its list. */
export interface ShippedTasks {
  /** Stands for all of them. */
  name: string;
  about: string;
  tasks: string[];
}

/** All tasks that ship. */
export function shippedTasks(): ShippedTasks[] {
  return Object.entries(shipped).map(([name, text]) => {
    const about = /^# (.*)$/m.exec(text)?.[1] ?? "";
    return { name, about, tasks: variants(fieldsOf(text, name)).map(({ task }) => String(task)) };
  });
}

/**
 * @param asked names of tasks that ship (`xcopa_et`, or `xcopa` for all of its languages) and paths of YAML files
 * @returns in that order, each once
 * @throws LolaError "usage" for what is neither, and for a field that is not as it should be
 */
export function loadTasks(asked: readonly string[]): Task[] {
  const found = new Map<string, Task>();
  for (const one of asked)
    for (const task of isFile(one) ? fromFile(one) : fromShipped(one)) {
      const same = found.get(task.name);
      if (same && same.folder !== task.folder)
        throw new LolaError("usage", `two tasks are named ${task.name}`, "another name in one of the files");
      found.set(task.name, task);
    }
  return [...found.values()];
}

const isFile = (name: string) => /\.ya?ml$/.test(name) || name.includes("/") || existsSync(name);

function fromShipped(name: string): Task[] {
  const all = Object.entries(shipped);
  // Only the files whose names could have made this one are read.
  for (const [family, text] of all.filter(([family]) => name.startsWith(family.split("_")[0]!))) {
    const tasks = variants(fieldsOf(text, family));
    const asked = name === family ? tasks : tasks.filter(({ task }) => task === name);
    if (asked.length > 0) return asked.map((fields) => parseTask(fields, family));
  }
  const families = Object.keys(shipped).join(", ");
  throw new LolaError("usage", `no task ${name} ships`, `${families}, or a YAML file; lola eval tasks --list`);
}

function fromFile(path: string): Task[] {
  return variants(included(path, [])).map((fields) => parseTask(fields, path, dirname(path)));
}

/** A file's fields over those of the files that it includes. */
function included(path: string, from: readonly string[]): Fields {
  if (from.includes(path)) throw new LolaError("usage", `${path} includes itself`, "a task without the circle");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LolaError("usage", `${path}: cannot be read (${code})`, "the path of a YAML file", { cause });
  }
  const fields = fieldsOf(text, path);
  const { include } = fields;
  const paths = include === undefined ? [] : [include].flat().map(String);
  const below = paths.map((name) => included(join(dirname(path), name), [...from, path]));
  return Object.assign({}, ...below, fields);
}

function fieldsOf(text: string, label: string): Fields {
  const resolve = (name: string) => new PythonFunction(name);
  const document = parseDocument(text, { customTags: [{ tag: "!function", resolve }] });
  const [error] = document.errors;
  if (error)
    throw new LolaError("usage", `${label}: no YAML: ${error.message.split("\n")[0]}`, "a YAML file of a task");
  const fields: unknown = document.toJS();
  if (typeof fields === "object" && fields !== null && !Array.isArray(fields)) return fields as Fields;
  throw new LolaError("usage", `${basename(label)}: not the fields of a task`, "task: NAME, output_type: …");
}

/**
 * One task for each of `languages`, our own field: a list of codes, or a map of them to words. `@{code}` and `@{word}` stand
 * for them in every text.
 */
function variants({ languages, ...fields }: Fields): Fields[] {
  if (languages === undefined) return [fields];
  const each: [string, unknown][] = Array.isArray(languages)
    ? languages.map((code) => [String(code), {}])
    : Object.entries(languages as Fields);
  return each.map(([code, words]) => {
    const named = { code, ...(words as Fields) };
    return { ...(filled(fields, named) as Fields), language: iso3(code) };
  });
}

function filled(value: unknown, words: Fields): unknown {
  if (typeof value === "string")
    return value.replace(/@\{(\w+)\}/g, (whole, word: string) => (word in words ? String(words[word]) : whole));
  if (Array.isArray(value)) return value.map((one) => filled(one, words));
  if (typeof value !== "object" || value === null || value instanceof PythonFunction) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, words)]));
}
