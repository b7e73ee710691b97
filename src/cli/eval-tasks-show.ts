/** What `lola eval tasks` prints for people: the tasks that ship, and scores. */
import type { ShippedTasks } from "../evaluate/tasks/load.ts";
import type { TasksEvaluation } from "./eval-tasks.ts";
import { grouped, type Style, table } from "./style.ts";

/** Those that ship, for `--list`. */
export interface TaskList {
  shipped: ShippedTasks[];
}

export function showTaskList({ shipped }: TaskList, style: Style): string {
  const rows = shipped.map(({ name, tasks, about }) => [name, tasks.length, `${tasks[0]} …`, style.dim(about)]);
  return table([["", "languages", "by name", ""].map(style.dim), ...rows]);
}

export function showTasks(result: TasksEvaluation, style: Style): string {
  const { model, texts, tasks, settings, resumed, paths } = result;
  const names = [...new Set(tasks.flatMap(({ metrics }) => Object.keys(metrics)))];
  const rows = tasks.map(({ task, language, samples, metrics, chance }) => [
    task,
    language ?? "",
    grouped(samples),
    ...names.map((name) => (metrics[name] ? shown(name, metrics[name]) : "")),
    chance === undefined ? "" : (100 * chance).toFixed(1),
  ]);
  const questions = tasks.reduce((sum, { samples }) => sum + samples, 0);
  const before = resumed > 0 ? `; ${grouped(resumed)} answered before` : "";
  const files = Object.entries(paths).flatMap(([name, path]) => (path === null ? [] : [`${name}: ${path}`]));
  return [
    `${model.label} on ${texts.name}: ${grouped(questions)} questions, at most ${settings.context} tokens${before}`,
    table([["", "", "questions", ...names, "by chance"].map(style.dim), ...rows]),
    "% of questions ± its standard error; perplexity as it is",
    ...(files.length > 0 ? [files.join("\n")] : []),
  ].join("\n\n");
}

function shown(name: string, { value, error }: { value: number; error: number }): string {
  const scale = name === "perplexity" ? 1 : 100;
  return `${(scale * value).toFixed(1)} ± ${(scale * error).toFixed(1)}`;
}
