/** The harness's metrics: what one row's answers are worth, and what a task's rows come to. */
import type { Prompt } from "./prompts.ts";
import type { Metric, Task } from "./task.ts";

/** What a model made of one request. */
export interface Outcome {
  /** Nats: the log of the continuation's probability. */
  likelihood: number;
  /** Was each token of the continuation the likeliest? Of likelihoods only. */
  greedy?: boolean;
}

/** Metrics of one row, by the name that they are told by. */
export type Scores = Record<string, number>;

/** Of multiple choice and of likelihood. @param outcomes one for each request */
export function scoreOutcomes(task: Task, { choices, gold }: Prompt, outcomes: readonly Outcome[]): Scores {
  const likelihoods = outcomes.map(({ likelihood }) => likelihood);
  const right = (at: number) => Number(gold.includes(at));
  return Object.fromEntries(
    task.metrics.map(({ name }) => {
      if (task.outputType === "loglikelihood")
        return [name, name === "acc" ? Number(outcomes[0]!.greedy) : likelihoods[0]!];
      if (name === "acc") return [name, right(bestOf(likelihoods))];
      if (name === "acc_norm") return [name, right(bestOf(likelihoods.map((one, i) => one / characters(choices[i]!))))];
      return [name, Number(gold.some((at) => outcomes[at]?.greedy))];
    }),
  );
}

/** Of generation: each metric after each chain of filters. */
export function scoreAnswer(task: Task, { answers }: Prompt, text: string): Scores {
  const filtered = task.filters.map((chain) => chain.apply(text));
  const scores: Scores = {};
  for (const metric of task.metrics)
    for (const [i, { name }] of task.filters.entries())
      scores[task.filters.length === 1 && name === "none" ? metric.name : `${metric.name},${name}`] = Number(
        answers.some((answer) => compared(answer, metric) === compared(filtered[i]!, metric)),
      );
  return scores;
}

/** Python's string.punctuation. */
const punctuation = /[!-/:-@[-`{-~]/g;

function compared(text: string, { ignored, ignoreCase, ignorePunctuation, ignoreNumbers }: Metric): string {
  let left = ignored.reduce((rest, pattern) => rest.replace(pattern, ""), text);
  if (ignoreCase) left = left.toLowerCase();
  if (ignorePunctuation) left = left.replace(punctuation, "");
  return ignoreNumbers ? left.replace(/[0-9]/g, "") : left;
}

/** Python's length: code points. */
const characters = (text: string): number => [...text].length;

/** Index of the largest, the first of equals. */
export function bestOf(values: readonly number[]): number {
  return values.reduce((at, value, i) => (value > values[at]! ? i : at), 0);
}

/** Mean of a metric over rows with its standard error, and of perplexity e to the mean loss. @param values at least one */
export function totalOf(metric: string, values: readonly number[]): { value: number; error: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  const error = Math.sqrt(spread / values.length);
  if (metric !== "perplexity") return { value: mean, error };
  // By the slope of the exponential.
  return { value: Math.exp(-mean), error: Math.exp(-mean) * error };
}
