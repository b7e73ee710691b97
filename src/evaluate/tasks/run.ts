/** Asks a model the questions of tasks: those of one kind together, whatever their task, each answer handed on when it is there. */
import type { Model } from "../../model/open.ts";
import { ratioInterval } from "../bootstrap.ts";
import { idOf, type TaskSample, type TaskScore } from "../results.ts";
import { bestOf, type Outcome, scoreAnswer, scoreOutcomes, totalOf } from "./metrics.ts";
import { type Examples, type Prompt, promptOf } from "./prompts.ts";
import { encodeRequest } from "./requests.ts";
import { scoreSequences } from "./sequences.ts";
import type { Task } from "./task.ts";
import type { Row } from "./template.ts";

export interface Question {
  /** Of all that is asked, so that equal ones have equal answers. */
  id: string;
  task: Task;
  prompt: Prompt;
}

/** The questions of a task's rows. @throws LolaError, DataError as promptOf */
export function questionsOf(task: Task, rows: readonly Row[], examples: Examples): Question[] {
  const seen = new Map<string, number>();
  return rows.map((row) => {
    const prompt = promptOf(task, row, examples.of(row));
    const id = idOf([task.name, JSON.stringify(prompt)]);
    const before = seen.get(id) ?? 0;
    seen.set(id, before + 1);
    return { id: before === 0 ? id : idOf([task.name, JSON.stringify(prompt)], before), task, prompt };
  });
}

/** Goes on with a text, always with the likeliest token: not before a stop, an end of text, or `maxTokens`. */
export type Complete = (
  prompt: Uint32Array,
  limits: { stop: readonly string[]; maxTokens: number; signal?: AbortSignal },
) => Promise<string>;

export interface AnswerOptions {
  /** Positions that the model has, at most. */
  context: number;
  /** Sequences of one pass. */
  batch?: number;
  complete: Complete;
  signal?: AbortSignal;
}

/**
 * @returns a sample for each question, in the order in which they are answered
 * @throws LolaError "device" when there is no room; DataError "task.long"; DOMException AbortError after `signal`
 */
export async function* answerQuestions(
  model: Model,
  questions: readonly Question[],
  options: AnswerOptions,
): AsyncGenerator<TaskSample> {
  const written = questions.filter(({ task }) => task.outputType === "generate_until");
  const scored = questions.filter(({ task }) => task.outputType !== "generate_until");
  // Which token is the likeliest takes time, so it is looked for only where a metric asks.
  for (const greedy of [false, true])
    yield* likelihoods(
      model,
      scored.filter(({ task }) => needsGreedy(task) === greedy),
      greedy,
      options,
    );
  for (const question of written) yield await generated(model, question, options);
}

function needsGreedy({ outputType, metrics }: Task): boolean {
  return metrics.some(({ name }) => name === "exact_match" || (outputType === "loglikelihood" && name === "acc"));
}

async function* likelihoods(
  model: Model,
  questions: readonly Question[],
  greedy: boolean,
  { context, batch, signal }: AnswerOptions,
): AsyncGenerator<TaskSample> {
  const { tokenizer, config } = model;
  const of: { question: number; request: number }[] = [];
  const sequences = questions.flatMap(({ prompt: { requests } }, question) =>
    requests.map((one, request) => {
      of.push({ question, request });
      return encodeRequest(tokenizer, config, context, one);
    }),
  );
  const outcomes = questions.map((): Outcome[] => []);
  const left = questions.map(({ prompt }) => prompt.requests.length);
  const asked = { context, greedy, ...(batch && { batch }), ...(signal && { signal }) };
  for await (const { index, outcome } of scoreSequences(model, sequences, asked)) {
    const { question, request } = of[index]!;
    outcomes[question]![request] = outcome;
    left[question]! -= 1;
    if (left[question] === 0) yield chosen(questions[question]!, outcomes[question]!);
  }
}

function chosen({ id, task, prompt }: Question, outcomes: readonly Outcome[]): TaskSample {
  const scores = outcomes.map(({ likelihood }) => likelihood);
  const { choices, gold, requests } = prompt;
  const likelihood = task.outputType === "loglikelihood";
  return {
    ...named(id, task),
    target: likelihood ? requests[0]!.continuation : gold.map((at) => choices[at] ?? "").join(" | "),
    answer: likelihood ? (outcomes[0]!.greedy ? requests[0]!.continuation : "") : choices[bestOf(scores)]!,
    scores,
    metrics: scoreOutcomes(task, prompt, outcomes),
  };
}

async function generated(
  { tokenizer }: Model,
  { id, task, prompt }: Question,
  { context, complete, signal }: AnswerOptions,
): Promise<TaskSample> {
  signal?.throwIfAborted();
  // Where the context is small, half of it is left to what is asked.
  const maxTokens = Math.min(task.maxTokens, Math.floor(context / 2));
  const ids = tokenizer.encode(prompt.requests[0]!.context).slice(-(context - maxTokens));
  const text = await complete(ids, { stop: task.until, maxTokens, ...(signal && { signal }) });
  const metrics = scoreAnswer(task, prompt, text);
  return { ...named(id, task), target: prompt.answers.join(" | "), answer: text, metrics };
}

function named(id: string, { name, language }: Task) {
  return { kind: "task" as const, id, task: name, ...(language && { language }) };
}

/** What the answers to a task's questions come to. @param done answers by id, one for each question */
export function taskScore(
  task: Task,
  questions: readonly Question[],
  done: ReadonlyMap<string, TaskSample>,
): TaskScore {
  const samples = questions.map(({ id }) => done.get(id)!);
  const metrics = Object.keys(samples[0]?.metrics ?? {}).map((name) => {
    const values = samples.map(({ metrics }) => metrics[name]!);
    const interval = ratioInterval(values.map((value) => [value, 1] as const));
    const told =
      name === "perplexity" && interval ? ([Math.exp(-interval[1]), Math.exp(-interval[0])] as const) : interval;
    return [name, { ...totalOf(name, values), interval: told }] as const;
  });
  const { name, language, outputType } = task;
  const guesses = questions.map(({ prompt: { gold, choices } }) => gold.length / choices.length);
  return {
    task: name,
    ...(language && { language }),
    samples: samples.length,
    metrics: Object.fromEntries(metrics),
    ...(outputType === "multiple_choice" && { chance: totalOf("acc", guesses).value }),
  };
}
