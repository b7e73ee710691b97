/** What `lola eval tasks` writes beside its results: a table for spreadsheets, and a page with a bar for each score. */
import { saveFile } from "../base/atomic.ts";
import { escapeHtml, factList, page } from "../base/page.ts";
import type { TaskResults, TaskScore } from "../evaluate/results.ts";
import { saveTable } from "./eval-csv.ts";
import { grouped } from "./style.ts";

const columns = "task language questions metric value stderr low high chance".split(" ");

/** One line a task and metric. @throws LolaError "failed" when the disk refuses */
export async function saveTasks(path: string, { tasks }: TaskResults): Promise<void> {
  const rows = scoresOf(tasks).map(({ score, metric, value, error, interval }) => {
    const chance = isAccuracy(metric) ? score.chance : undefined;
    return [score.task, score.language, score.samples, metric, value, error, ...(interval ?? [null, null]), chance];
  });
  await saveTable(path, columns, rows);
}

const styles = `
.whisker { position: absolute; top: 50%; height: 0; border-top: 2px solid var(--ink); print-color-adjust: exact; }
.chance { position: absolute; top: 0; bottom: 0; width: 0; border-left: 2px dashed var(--ink); print-color-adjust: exact; }
`;

/** @throws LolaError "failed" when the disk refuses */
export async function saveTasksReport(path: string, results: TaskResults): Promise<void> {
  await saveFile(path, (output) => output.write(new TextEncoder().encode(renderTasks(results))));
}

function renderTasks({ model, texts, tasks, settings, device, version }: TaskResults): string {
  const questions = tasks.reduce((sum, { samples }) => sum + samples, 0);
  const facts: [string, string][] = [
    ["model", model.label],
    ["identity", model.identity.slice(0, 12)],
    ["tasks", texts.name],
    ["questions", grouped(questions)],
    ...Object.entries(settings).map(([name, value]): [string, string] => [name, `${value}`]),
    ["device", `${device.kind}: ${device.name}`],
    ["lola", version],
  ];
  const head = ["task", "language", "questions", "metric", "score", "from", "to", "", "by chance"];
  const numbers = ["questions", "score", "from", "to", "by chance"];
  const cells = head.map((name) => `<th scope="col"${numbers.includes(name) ? ' class="n"' : ""}>${name}</th>`);
  const body = `${factList(facts)}
<p>A score is the share of questions that were answered right, with its 95 % interval by bootstrap over questions, the line across
a bar; the dashed line is what guessing comes to. Perplexity has no bar. A column's name sorts by it.</p>
<table class="sortable"><thead><tr>${cells.join("")}</tr></thead>
<tbody>${scoresOf(tasks).map(row).join("\n")}</tbody></table>`;
  return page(`lola eval: ${model.label}`, body, { styles });
}

type Score = { score: TaskScore; metric: string } & TaskScore["metrics"][string];

function scoresOf(tasks: readonly TaskScore[]): Score[] {
  return tasks.flatMap((score) =>
    Object.entries(score.metrics).map(([metric, values]) => ({ score, metric, ...values })),
  );
}

const isAccuracy = (metric: string) => metric.startsWith("acc");

function row({ score, metric, value, interval }: Score): string {
  const { task, language = "", samples, chance } = score;
  const share = (of: number) => `${(100 * of).toFixed(1)}%`;
  const text = (cell: string) => `<td>${escapeHtml(cell)}</td>`;
  const number = (cell: string) => `<td class="n">${cell}</td>`;
  const isShare = metric !== "perplexity";
  const told = (of: number) => (isShare ? (100 * of).toFixed(1) : of.toFixed(2));
  const guess = isAccuracy(metric) ? chance : undefined;
  const whisker = interval
    ? `<div class="whisker" style="left:${share(interval[0])};width:${share(interval[1] - interval[0])}"></div>`
    : "";
  const mark = guess === undefined ? "" : `<div class="chance" style="left:${share(guess)}"></div>`;
  const bar = `<div style="position:relative"><div class="bar" style="width:${share(value)}"></div>${whisker}${mark}</div>`;
  return [
    `<tr><th scope="row">${escapeHtml(task)}</th>${text(language)}${number(grouped(samples))}${text(metric)}`,
    number(told(value)) + (interval?.map((bound) => number(told(bound))).join("") ?? number("") + number("")),
    `<td aria-hidden="true" class="track">${isShare ? bar : ""}</td>${number(guess === undefined ? "" : told(guess))}</tr>`,
  ].join("");
}
