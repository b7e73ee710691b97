/** What a model is asked about a row: the harness's contexts and continuations, with examples before them. */
import { DataError } from "../../base/errors.ts";
import { parseList } from "./literal.ts";
import { PythonRandom } from "./python-random.ts";
import type { Part, Task } from "./task.ts";
import type { Row } from "./template.ts";

export interface Request {
  context: string;
  continuation: string;
}

/** A row as a question. */
export interface Prompt {
  /** Of multiple choice one for each choice; of likelihood one; of generation one, without a continuation. */
  requests: Request[];
  choices: readonly string[];
  /** Which choices are right; −1: none of them. */
  gold: readonly number[];
  /** Texts that are right, of generation. */
  answers: readonly string[];
}

type Text = string | number;

/** @throws LolaError "usage" for a template that does not fit; DataError "task.row" for what it gives */
export function promptOf(task: Task, row: Row, examples: readonly Row[]): Prompt {
  const shown = task.description.template.render(row) + examples.map((one) => exampleText(task, one)).join("");
  const choices = choicesOf(task, row);
  const text = textOf(task, row);
  const target = targetOf(task, row);
  const delimiter = task.targetDelimiter;
  const none = { choices, gold: [], answers: [] };
  if (task.outputType === "generate_until")
    return { ...none, requests: [{ context: `${shown}${text}`, continuation: "" }], answers: target.map(String) };
  if (task.outputType === "loglikelihood")
    return { ...none, requests: [{ context: `${shown}${text}`, continuation: String(target[0]) }] };
  if (typeof text === "number") {
    // The choices differ in what stands before; the text after them is one.
    const continuation = `${delimiter}${target[0]}`;
    return { ...none, requests: choices.map((choice) => ({ context: shown + choice, continuation })), gold: [text] };
  }
  const context = shown + text;
  const requests = choices.map((choice) => ({ context, continuation: delimiter + choice }));
  const gold = target.map((one) => (typeof one === "number" ? one : choices.indexOf(one)));
  return { ...none, requests, gold: gold.map((at) => (at < choices.length ? at : -1)) };
}

function exampleText(task: Task, row: Row): string {
  const choices = task.choices ? choicesOf(task, row) : undefined;
  const text = textOf(task, row);
  const [target = ""] = targetOf(task, row);
  const question = typeof text === "number" ? (choices?.[text] ?? String(text)) : text;
  const answer = typeof target === "number" ? (choices?.[target] ?? String(target)) : target;
  return answer === "" ? question : question + task.targetDelimiter + answer + task.fewshotDelimiter;
}

/** A column as it is; a template as text, and as a number where it is one and there are choices to number. */
function textOf(task: Task, row: Row): Text {
  const { source, template } = task.text;
  const value = source in row ? row[source] : template.render(row);
  return numbered(task, typeof value === "number" ? value : String(value ?? ""), source in row);
}

function targetOf(task: Task, row: Row): Text[] {
  const { target } = task;
  if (typeof target === "number") return [target];
  const column = target.source in row;
  const value = column ? row[target.source] : target.template.render(row);
  if (Array.isArray(value)) return value.map((one) => (typeof one === "number" ? one : String(one)));
  if (typeof value === "number") return [value];
  const text = String(value ?? "");
  const several = column ? undefined : parseList(text);
  return (several ?? [text]).map((one) => numbered(task, one, column));
}

function numbered(task: Task, value: Text, column: boolean): Text {
  return !column && task.choices && /^\d+$/.test(String(value)) ? Number(value) : value;
}

function choicesOf({ name, choices }: Task, row: Row): readonly string[] {
  if (!choices) return [];
  if (!isPart(choices)) return choices;
  const { source, template } = choices;
  const value = source in row ? row[source] : template.value(row);
  const list = Array.isArray(value) ? value : parseList(String(value));
  if (list && list.length > 0 && list.every((one) => typeof one === "string" || typeof one === "number"))
    return list.map(String);
  throw new DataError("task.row", `${name}: doc_to_choice gives ${JSON.stringify(value)}, which is no list of texts`);
}

const isPart = (choices: Part | readonly string[]): choices is Part => !Array.isArray(choices);

/** The seed that the harness draws examples with. */
const exampleSeed = 1234;

/** Chooses the examples of row after row, as the harness does: its draws follow each other from the first row on. */
export class Examples {
  private readonly random = new PythonRandom(exampleSeed);

  /**
   * @param rows of the split that examples come from
   * @throws DataError "task.examples" when there are too few
   */
  constructor(
    private readonly task: Task,
    private readonly rows: readonly Row[],
    private readonly shots: number,
  ) {
    const wanted = shots === 0 ? 0 : this.drawn;
    if (rows.length < wanted)
      throw new DataError(
        "task.examples",
        `${task.name}: ${rows.length} rows for ${wanted} examples`,
        "fewer examples",
      );
  }

  /** One more where the row itself may be among them. */
  private get drawn(): number {
    return this.shots + (this.task.split.shared ? 1 : 0);
  }

  of(row: Row): readonly Row[] {
    const { rows, drawn, shots } = this;
    if (shots === 0) return [];
    const some = this.task.sampler === "first_n" ? rows.slice(0, drawn) : this.random.sample(rows, drawn);
    return some.filter((one) => !Bun.deepEquals(one, row)).slice(0, shots);
  }
}
