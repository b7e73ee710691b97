/** What `lola eval tasks` prints for people, and as CSV: the list of tasks, and their scores. */
import type { TaskResults, TaskScore } from "../evaluate/results.ts";
import { type ShippedTasks, shippedTasks } from "../evaluate/tasks/load.ts";
import { type Style, table } from "./style.ts";

/** Those that ship, for `--list`. */
export interface TaskList {
  kind: "list";
  tasks: ShippedTasks[];
}

export const listTasks = (): TaskList => ({ kind: "list", tasks: shippedTasks() });

export function showTaskList({ tasks }: TaskList, style: Style): string {
  const rows = tasks.map(({ name, tasks: all, about }) => [name, all.length, style.dim(about)]);
  return table([["task", "languages", "what it asks"].map(style.dim), ...rows]);
}

/** Of a metric that is a share, as percent; with the standard error of its mean. */
function shown(name: string, { value, error }: { value: number; error: number }): string {
  const [scale, unit] = name === "perplexity" ? [1, ""] : [100, " %"];
  return `${(scale * value).toFixed(1)} ± ${(scale * error).toFixed(1)}${unit}`;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

export function showTasks({ model, tasks }: TaskResults, style: Style): string {
  const names = metricNames(tasks);
  const rows = tasks.map(({ task, language, samples, metrics, chance }) => [
    task,
    language ?? "",
    samples,
    ...names.map((name) => (metrics[name] ? shown(name, metrics[name]) : "")),
    chance === undefined ? "" : percent(chance),
  ]);
  const head = ["task", "language", "questions", ...names, "by chance"].map(style.dim);
  const told = "± is the standard error of the mean over questions.";
  return `${style.bold(model.label)}\n\n${table([head, ...rows])}\n\n${style.dim(told)}`;
}

/** A line for each task and metric. */
export function taskRows({ tasks }: TaskResults): (string | number)[][] {
  const head = ["task", "language", "questions", "metric", "value", "stderr", "low", "high", "chance"];
  const rows = tasks.flatMap(({ task, language = "", samples, metrics, chance = "" }) =>
    Object.entries(metrics).map(([name, { value, error, interval }]) => {
      const [low, high] = interval ?? ["", ""];
      return [task, language, samples, name, value, error, low, high, name.startsWith("acc") ? chance : ""];
    }),
  );
  return [head, ...rows];
}

/** In the order in which they come first. */
const metricNames = (tasks: readonly TaskScore[]) => [...new Set(tasks.flatMap(({ metrics }) => Object.keys(metrics)))];
