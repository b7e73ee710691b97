/** Questions answered by the trained fixture: its scores against those of the independent program, and by hand. */
import { afterAll, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDevice } from "../../../src/device/choose.ts";
import type { TaskSample } from "../../../src/evaluate/results.ts";
import { loadTasks, shippedTasks } from "../../../src/evaluate/tasks/load.ts";
import { Examples } from "../../../src/evaluate/tasks/prompts.ts";
import { TaskData } from "../../../src/evaluate/tasks/rows.ts";
import {
  type AnswerOptions,
  answerQuestions,
  type Question,
  questionsOf,
  taskScore,
} from "../../../src/evaluate/tasks/run.ts";
import { parseTask, type Task } from "../../../src/evaluate/tasks/task.ts";
import type { Row } from "../../../src/evaluate/tasks/template.ts";
import { loadModel, openSource } from "../../../src/model/open.ts";

const folder = join(import.meta.dir, "../../../../shared/fixtures/udhr-lola");
const { device } = await openDevice("cpu");
afterAll(() => device.close());
const model = loadModel(device, openSource(folder));
const { config, tokenizer } = model;

const options: AnswerOptions = { context: config.context, complete: () => Promise.resolve("nothing") };
const ask = (task: Task, rows: readonly Row[]) => questionsOf(task, rows, new Examples(task, [], 0));

async function answers(questions: readonly Question[], changes: Partial<AnswerOptions> = {}) {
  const samples = await Array.fromAsync(answerQuestions(model, questions, { ...options, ...changes }));
  return new Map<string, TaskSample>(samples.map((sample) => [sample.id, sample]));
}

const choice = parseTask(
  {
    task: "continuation",
    output_type: "multiple_choice",
    test_split: "test",
    doc_to_text: "before",
    doc_to_choice: "after",
    doc_to_target: "right",
    target_delimiter: "",
    metric_list: [{ metric: "acc" }, { metric: "acc_norm" }],
  },
  "test",
);

/** Texts of the fixture: their beginnings, from one token to another. */
async function texts(codes: readonly string[]): Promise<((from: number, to: number) => string)[]> {
  return await Promise.all(
    codes.map(async (code) => {
      const ids = tokenizer.encode(await Bun.file(join(folder, `texts/${code}.txt`)).text());
      return (from: number, to: number) => tokenizer.decode(ids.subarray(from, to));
    }),
  );
}

test("the score of a continuation is what the independent program found for those tokens", async () => {
  const { first_257_tokens: expected } = await Bun.file(join(folder, "expected.json")).json();
  for (const code of ["eng", "fra", "swh"]) {
    const [text] = await texts([code]);
    const [question] = ask(choice, [{ before: text!(0, 1), after: [text!(1, 257)], right: 0 }]);
    const [sample] = [...(await answers([question!])).values()];
    expect(Math.abs(sample!.scores![0]! / -expected[code].nll_nats - 1)).toBeLessThan(1e-4);
  }
});

test("four questions, of which three are answered right: by the sums of log-softmax over all logits", async () => {
  const [eng, fra, spa, swh] = await texts(["eng", "fra", "spa", "swh"]);
  const after = [eng!(20, 32), fra!(20, 29), spa!(20, 44), swh!(20, 28)];
  const rows = [eng!, fra!, spa!, swh!].map((text, i) => ({ before: text(0, 20), after, right: i }));
  // The last question calls the French end of a Swahili text right.
  rows[3]!.right = 1;
  const questions = ask(choice, rows);
  const done = await answers(questions);
  const session = model.session();
  for (const [q, { id }] of questions.entries()) {
    const sample = done.get(id)!;
    for (const [c, text] of after.entries()) {
      const before = tokenizer.encode(rows[q]!.before);
      const ids = tokenizer.encode(rows[q]!.before + text);
      session.rewind();
      const { logits } = await session.scores(ids.subarray(0, -1));
      let sum = 0;
      for (let t = before.length; t < ids.length; t++) {
        const row = logits.subarray((t - 1) * config.vocabulary, t * config.vocabulary);
        sum += row[ids[t]!]! - Math.log(row.reduce((total, z) => total + Math.exp(z), 0));
      }
      expect(Math.abs(sample.scores![c]! - sum)).toBeLessThan(1e-3);
    }
  }
  const score = taskScore(choice, questions, done);
  expect(score).toMatchObject({ task: "continuation", samples: 4, chance: 0.25 });
  // By hand: 3 of 4; its standard error √(3/16 · 4/3 / 4).
  expect(score.metrics.acc).toMatchObject({ value: 0.75, error: 0.25 });
});

test("one sequence at a time and 32 together give the same scores", async () => {
  const all = await texts(["eng", "fra", "jpn", "swh", "arb"]);
  const rows = all.flatMap((text, i) =>
    [4, 9, 40].map((length) => ({
      before: text(0, length),
      after: [text(length, 2 * length), text(80, 85)],
      right: i % 2,
    })),
  );
  const questions = ask(choice, [...rows, { before: "", after: ["All human", "x"], right: 0 }]);
  const [one, many] = [await answers(questions, { batch: 1 }), await answers(questions, { batch: 32 })];
  expect(one.size).toBe(questions.length);
  for (const [id, sample] of one)
    for (const [c, score] of sample.scores!.entries())
      expect(Math.abs(score - many.get(id)!.scores![c]!)).toBeLessThan(1e-6 * Math.abs(score) + 1e-6);
});

test("every task that ships runs on rows in its public format", async () => {
  const data = await TaskData.open(join(import.meta.dir, "data"), tmpdir());
  const here =
    "xcopa_et xnli_sw xwinograd_en belebele_eng_Latn xstorycloze_es arc_de hellaswag_fr m_mmlu_en truthfulqa_es_mc1 lambada_openai_mt_stablelm_en mgsm_direct_de mgsm_native_cot_sw paws_en".split(
      " ",
    );
  expect(here).toHaveLength(shippedTasks().length);
  const tasks = loadTasks(here);
  const asked = await Promise.all(tasks.map(async (task) => ask(task, await data.rows(task, task.split.test))));
  const told: string[] = [];
  const complete: AnswerOptions["complete"] = (ids, { stop, maxTokens }) => {
    told.push(`${tokenizer.decode(ids).slice(0, 6)} ${stop[0]} ${maxTokens}`);
    return Promise.resolve(" 3 + 4 = 7, also 7.");
  };
  const done = await answers(asked.flat(), { complete });
  const scores = tasks.map((task, i) => taskScore(task, asked[i]!, done));
  expect(scores.map(({ samples }) => samples)).toEqual(asked.map(({ length }) => length));
  const names = scores.map(({ metrics }) => Object.keys(metrics).join(" "));
  expect(names).toEqual([
    ...["acc", "acc", "acc", "acc acc_norm", "acc", "acc acc_norm", "acc acc_norm", "acc", "acc"],
    "perplexity acc",
    "exact_match,remove_whitespace exact_match,flexible-extract",
    "exact_match,get-answer exact_match,flexible-extract",
    "acc",
  ]);
  expect(scores.slice(0, 9).map(({ chance }) => Number(chance!.toFixed(3)))).toEqual([
    0.5, 0.333, 0.5, 0.25, 0.5, 0.292, 0.25, 0.25, 0.417,
  ]);
  // What may be written takes half of the context here, where it would take 256 tokens.
  expect(told).toEqual(["Frage: Frage: 128", "Frage: Frage: 128", "Swali: Swali: 128", "Swali: Swali: 128"]);
  // Of the two sums in German, the first comes to 7.
  expect(scores[10]!.metrics).toMatchObject({
    "exact_match,remove_whitespace": { value: 0 },
    "exact_match,flexible-extract": { value: 0.5 },
  });
  expect(scores[9]!.metrics.perplexity!.value).toBeGreaterThan(1);
});
