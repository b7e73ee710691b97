/** The work of `lola eval tasks`: rows become questions, a model answers them, and each task's answers are added up. */
import { LolaError } from "../base/errors.ts";
import { places } from "../base/paths.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Device } from "../device/device.ts";
import { hashOf, type TaskResults, type TaskSample } from "../evaluate/results.ts";
import { loadTasks } from "../evaluate/tasks/load.ts";
import { Examples } from "../evaluate/tasks/prompts.ts";
import { ownRows, TaskData } from "../evaluate/tasks/rows.ts";
import { answerQuestions, type Complete, type Question, questionsOf, taskScore } from "../evaluate/tasks/run.ts";
import { passTokens } from "../evaluate/tasks/sequences.ts";
import type { Task } from "../evaluate/tasks/task.ts";
import type { Row } from "../evaluate/tasks/template.ts";
import { generate } from "../generate/generate.ts";
import { planScoring } from "../model/memory.ts";
import { loadModel, type Model } from "../model/open.ts";
import { greedy } from "../model/session.ts";
import type { Context } from "./context.ts";
import type { EvalFlags } from "./eval-flags.ts";
import { evaluate } from "./eval-run.ts";
import type { TaskFlags } from "./eval-tasks-flags.ts";
import { saveTasks, saveTasksReport } from "./eval-tasks-report.ts";
import { checkPlan, describePlan } from "./memory.ts";
import { remaining } from "./quantize-progress.ts";
import type { Notes } from "./streams.ts";
import { grouped } from "./style.ts";

type Shared = Pick<
  EvalFlags,
  "model" | "device" | "threads" | "output" | "force" | "batch" | "ctx" | "limit" | "lang" | "csv" | "report" | "stride"
>;
export type TasksContext = Context<TaskFlags & Shared>;

/** What `lola eval tasks --json` prints; the samples are in the file of -o. */
export interface TasksEvaluation extends Omit<TaskResults, "samples"> {
  /** Samples that an earlier run had done. */
  resumed: number;
  seconds: number;
  paths: { results: string | null; csv: string | null; report: string | null };
}

/** @throws LolaError, DataError */
export async function evaluateTasks(context: TasksContext): Promise<TasksEvaluation> {
  const { flags, notes } = context;
  checkFlags(context);
  const asked = await questions(tasksOf(flags), flags);
  const all = asked.flatMap((one) => one.questions);
  let [started, resumed] = [performance.now(), 0];
  const results = await evaluate<TaskSample, TaskResults>(context, {
    kind: "task",
    settings: (source) => ({ context: contextOf(source, flags) }),
    work: async ({ device, source, conditions, done, add, signal }) => {
      const samples = new Map(done);
      const left = all.filter(({ id }) => !samples.has(id));
      resumed = all.length - left.length;
      started = performance.now();
      if (left.length > 0) {
        const model = loaded(device, source, flags, notes);
        const time = remaining();
        const positions = contextOf(source, flags);
        const options = { context: positions, complete: completing(model, positions), signal };
        let answered = 0;
        for await (const sample of answerQuestions(model, left, batched(options, flags.batch))) {
          samples.set(sample.id, sample);
          add(sample);
          answered++;
          notes.progress(`question ${grouped(answered)} of ${grouped(left.length)}${time(answered / left.length)}`);
        }
      }
      const found = all.map(({ id }) => samples.get(id)!);
      return {
        ...conditions,
        kind: "tasks",
        texts: { name: flags.task.join(", "), hash: hashOf(found) },
        tasks: asked.map((one) => taskScore(one.task, one.questions, samples)),
        samples: found,
      };
    },
  });
  if (flags.csv !== undefined) await saveTasks(flags.csv, results);
  if (flags.report !== undefined) await saveTasksReport(flags.report, results);
  const { samples, ...sums } = results;
  const paths = { results: flags.output ?? null, csv: flags.csv ?? null, report: flags.report ?? null };
  return { ...sums, resumed, seconds: (performance.now() - started) / 1000, paths };
}

const batched = <T extends object>(options: T, batch: number | undefined) => (batch ? { ...options, batch } : options);

/** @throws LolaError "usage" for what has no meaning here */
function checkFlags({ flags, args }: TasksContext): void {
  if (flags.task.length === 0) {
    const example = "lola eval tasks -t xcopa_et --data DIR, or --list";
    throw new LolaError("usage", args.length > 0 ? `${args[0]}: tasks are named by --task` : "missing --task", example);
  }
  if (flags.stride !== undefined) throw new LolaError("usage", "--stride is for texts", "lola eval tasks without it");
}

/** @throws LolaError "usage" for a language that none of the tasks is in */
function tasksOf({ task, lang }: TaskFlags & Shared): Task[] {
  const tasks = loadTasks(task);
  const wanted = lang?.split(",");
  if (!wanted) return tasks;
  const known = new Set(tasks.map(({ language }) => language));
  const missing = wanted.find((code) => !known.has(code));
  if (missing === undefined) return tasks.filter(({ language }) => language && wanted.includes(language));
  const there = [...known].filter(Boolean).sort().join(" ");
  throw new LolaError("usage", `no task in ${JSON.stringify(missing)}`, `one of ${there}`);
}

interface Asked {
  task: Task;
  questions: Question[];
}

/** What each task asks, read and checked before a model is opened. */
async function questions(tasks: readonly Task[], flags: TaskFlags & Shared): Promise<Asked[]> {
  const { cache } = places();
  const data = flags.data === undefined ? undefined : await TaskData.open(flags.data, cache);
  const rowsOf = async (task: Task, split: string): Promise<Row[]> => {
    const rows = data ? await data.rows(task, split) : await ownRows(task, split, cache);
    if (rows) return rows;
    const says = `${task.name}: no rows; what tasks ask does not ship`;
    throw new LolaError("usage", says, `--data DIR with ${task.name}/${split}.jsonl in it`);
  };
  const asked: Asked[] = [];
  for (const task of tasks) {
    const shots = flags.numFewshot ?? task.shots;
    const rows = (await rowsOf(task, task.split.test)).slice(0, flags.limit);
    const examples = new Examples(task, shots > 0 ? await rowsOf(task, task.split.fewshot) : [], shots);
    asked.push({ task, questions: questionsOf(task, rows, examples) });
  }
  return asked;
}

/** @throws LolaError "usage" for more positions than the model has */
function contextOf({ label, config }: ModelSource, { ctx = config.context }: Shared): number {
  if (ctx <= config.context) return ctx;
  throw new LolaError("usage", `--ctx ${ctx}: ${label} has ${config.context} positions`, `--ctx ${config.context}`);
}

/** @throws LolaError "device" where the model and a pass are more than there is room for */
function loaded(device: Device, source: ModelSource, flags: Shared, notes: Notes): Model {
  const context = contextOf(source, flags);
  const batch = flags.batch ?? Math.max(1, Math.floor(passTokens[device.info.kind] / context));
  const plan = planScoring(device, source, batch, context);
  notes.tell(describePlan(plan));
  checkPlan(device, plan, source.label, () => `--batch 1 --ctx ${Math.min(256, context)}`);
  notes.progress(`loading ${source.label}`);
  return loadModel(device, source);
}

/** One session for all that is written. @throws DataError "task.long" for a question that leaves no room */
function completing(model: Model, context: number): Complete {
  let session: ReturnType<Model["session"]> | undefined;
  return async (prompt, { stop, maxTokens, signal }) => {
    session ??= model.session({ context });
    const request = { prompt, maxTokens, stop, sampling: greedy, ...(signal && { signal }) };
    const events = generate(session, model.tokenizer, request);
    for (;;) {
      const { done, value } = await events.next();
      if (done) return value.text;
    }
  };
}
