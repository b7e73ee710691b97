/** `lola eval tasks`: reads the rows, asks the model, keeps each answer at once, and adds them up. */
import { LolaError } from "../base/errors.ts";
import { places } from "../base/paths.ts";
import { version } from "../base/version.ts";
import type { DeviceChoice } from "../device/choose.ts";
import { Journal } from "../evaluate/journal.ts";
import { type Conditions, hashOf, type TaskResults, type TaskSample } from "../evaluate/results.ts";
import { loadTasks } from "../evaluate/tasks/load.ts";
import { Examples } from "../evaluate/tasks/prompts.ts";
import { ownRows, TaskData } from "../evaluate/tasks/rows.ts";
import { answerQuestions, type Complete, type Question, questionsOf, taskScore } from "../evaluate/tasks/run.ts";
import type { Task } from "../evaluate/tasks/task.ts";
import type { Row } from "../evaluate/tasks/template.ts";
import { generate } from "../generate/generate.ts";
import type { Model } from "../model/open.ts";
import { tokenizerOf } from "../model/open.ts";
import { greedy, type SessionOptions } from "../model/session.ts";
import type { Context } from "./context.ts";
import type { TaskFlags } from "./eval-tasks-flags.ts";
import { loadOn, openNamed } from "./model.ts";
import { remaining } from "./quantize-progress.ts";

/** What `lola eval` gives all of its actions. */
interface SharedFlags {
  output: string | undefined;
  force: boolean;
  batch: number | undefined;
  ctx: number | undefined;
  model: string | undefined;
  device: DeviceChoice;
  threads: number | undefined;
}

export type TasksContext = Context<TaskFlags & SharedFlags>;

interface Asked {
  task: Task;
  questions: Question[];
}

/** @throws LolaError, DataError as what it uses */
export async function evaluateTasks(context: TasksContext): Promise<TaskResults> {
  const { flags, notes } = context;
  if (flags.task.length === 0) throw new LolaError("usage", "missing --task", "lola eval tasks -t xcopa_et --data DIR");
  const tasks = loadTasks(flags.task);
  const asked = await questions(tasks, flags);
  const source = await openNamed(flags.model, notes);
  try {
    const signal = context.cancellation();
    const engine = { ...flags, cache: "f32" as const, memory: undefined, lang: undefined };
    const { model, options, why } = await loadOn(source, tokenizerOf(source), engine, notes);
    try {
      notes.tell(why);
      const { kind, name } = model.device.info;
      const positions = options.context ?? source.config.context;
      const conditions: Conditions = {
        format: 1,
        version,
        model: { label: source.label, identity: source.identity },
        device: { kind, name },
        settings: { context: positions },
      };
      const journal =
        flags.output === undefined ? undefined : Journal.open<TaskSample>(flags.output, conditions, "task", flags);
      const done = journal?.done ?? new Map<string, TaskSample>();
      try {
        await answer(model, asked, done, { positions, options, signal, context, journal });
        const results = resultsOf(conditions, flags.task, asked, done);
        await journal?.finish(results);
        return results;
      } catch (error) {
        journal?.close();
        throw error;
      }
    } finally {
      model.device.close();
    }
  } finally {
    notes.progress("");
    source.close();
  }
}

/** What each task asks, read and checked before a model is loaded. */
async function questions(tasks: readonly Task[], flags: TaskFlags): Promise<Asked[]> {
  const { cache } = places();
  const data = flags.data === undefined ? undefined : await TaskData.open(flags.data, cache);
  const rowsOf = async (task: Task, split: string): Promise<Row[]> => {
    const rows = data ? await data.rows(task, split) : await ownRows(task, split, cache);
    if (rows) return rows;
    const says = `${task.name}: no rows: the data of tasks do not ship`;
    throw new LolaError("usage", says, `--data DIR with ${task.name}/${split}.jsonl in it`);
  };
  return await Promise.all(
    tasks.map(async (task) => {
      const shots = flags.numFewshot ?? task.shots;
      const rows = (await rowsOf(task, task.split.test)).slice(0, flags.limit);
      const examples = new Examples(task, shots > 0 ? await rowsOf(task, task.split.fewshot) : [], shots);
      return { task, questions: questionsOf(task, rows, examples) };
    }),
  );
}

interface Run {
  positions: number;
  options: SessionOptions;
  signal: AbortSignal;
  context: TasksContext;
  journal: Journal<TaskSample> | undefined;
}

async function answer(model: Model, asked: readonly Asked[], done: Map<string, TaskSample>, run: Run): Promise<void> {
  const { context, journal, signal, positions, options } = run;
  const all = asked.flatMap(({ questions }) => questions);
  const left = all.filter(({ id }) => !done.has(id));
  if (left.length < all.length)
    context.notes.tell(`${all.length - left.length} of ${all.length} questions are answered`);
  const time = remaining();
  const { batch } = context.flags;
  const answers = answerQuestions(model, left, {
    context: positions,
    complete: completing(model, options),
    signal,
    ...(batch && { batch }),
  });
  let count = 0;
  for await (const sample of answers) {
    if (journal) journal.add(sample);
    else done.set(sample.id, sample);
    const share = ++count / left.length;
    context.notes.progress(`question ${count} of ${left.length}${time(share)}`);
  }
}

/** One session for all that is written. */
function completing(model: Model, options: SessionOptions): Complete {
  let session: ReturnType<Model["session"]> | undefined;
  return async (prompt, { stop, maxTokens, signal }) => {
    session ??= model.session(options);
    const request = { prompt, maxTokens, stop, sampling: greedy, ...(signal && { signal }) };
    const events = generate(session, model.tokenizer, request);
    for (;;) {
      const { done, value } = await events.next();
      if (done) return value.text;
    }
  };
}

function resultsOf(
  conditions: Conditions,
  names: readonly string[],
  asked: readonly Asked[],
  done: ReadonlyMap<string, TaskSample>,
): TaskResults {
  const samples = asked.flatMap(({ questions }) => questions.map(({ id }) => done.get(id)!));
  return {
    ...conditions,
    kind: "tasks",
    texts: { name: names.join(", "), hash: hashOf(samples) },
    tasks: asked.map(({ task, questions }) => taskScore(task, questions, done)),
    samples,
  };
}
