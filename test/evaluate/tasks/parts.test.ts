/** The parts of a task, each against what lm-evaluation-harness and Python give. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseFilters } from "../../../src/evaluate/tasks/filters.ts";
import { parseList } from "../../../src/evaluate/tasks/literal.ts";
import { loadTasks } from "../../../src/evaluate/tasks/load.ts";
import { scoreAnswer, scoreOutcomes, totalOf } from "../../../src/evaluate/tasks/metrics.ts";
import { Examples, promptOf } from "../../../src/evaluate/tasks/prompts.ts";
import { PythonRandom } from "../../../src/evaluate/tasks/python-random.ts";
import { encodeRequest } from "../../../src/evaluate/tasks/requests.ts";
import { ownRows, TaskData } from "../../../src/evaluate/tasks/rows.ts";
import { type Fields, parseTask } from "../../../src/evaluate/tasks/task.ts";
import { Template } from "../../../src/evaluate/tasks/template.ts";
import { openSource, tokenizerOf } from "../../../src/model/open.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-tasks-"));
afterAll(() => rmSync(folder, { recursive: true }));

const plain: Fields = {
  task: "plain",
  output_type: "multiple_choice",
  test_split: "test",
  doc_to_text: "{{q}}",
  doc_to_choice: ["yes", "no"],
  doc_to_target: "{{a}}",
};
const taskOf = (changes: Fields = {}) => parseTask({ ...plain, ...changes }, "test");
const render = (source: string, row = {}) => new Template("t", source).render(row);

test("templates: Python's methods, the harness's filter, line ends as they are", () => {
  expect(render("{{a.index('_')}}{{a.find('x')}}{{[1, 2].index(2)}}", { a: "b_c" })).toBe("1-11");
  expect(render("{{a.capitalize()}}", { a: "éCOLE Ω" })).toBe("École ω");
  expect(render('{{a|regex_replace("[0-9]+", "#")|trim}}', { a: " 12 b 3" })).toBe("# b #");
  expect(render("{% if true %}\na\n{% endif %}\n")).toBe("\na\n\n");
  expect(new Template("t", "{{[a, [b]]}}").value({ a: "it's", b: 1 })).toEqual(["it's", [1]]);
  expect(render("{{ 1 if a is defined else 2 }}{{ b|default('-') }}")).toBe("2-");
});

test("templates: a column that is not there, and what is no template, are told by field", () => {
  const kind = "usage";
  expect(() => render("{{missing}}", { a: 1 })).toThrow(
    expect.objectContaining({ kind, message: 't: no column "missing"' }),
  );
  expect(() => render("{{a|frobnicate}}", { a: "x" })).toThrow(expect.objectContaining({ kind }));
  expect(() => new Template("task: doc_to_text", "{{a")).toThrow(expect.objectContaining({ kind }));
});

test("lists as Python writes them", () => {
  expect(parseList(`['a', "it's", 'it\\'s', 3, -1.5, "\\u00e9\\n",]`)).toEqual([
    "a",
    "it's",
    "it's",
    "3",
    "-1.5",
    "é\n",
  ]);
  expect(parseList(" [] ")).toEqual([]);
  for (const none of ["", "a", "[a]", "['a'", "['a'] b", "['a' 'b']"]) expect(parseList(none)).toBeUndefined();
});

test("draws are those of Python's random.Random(1234)", () => {
  const random = new PythonRandom(1234);
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  // python3 -c 'import random; r = random.Random(1234); print(r.sample(range(100), 5), r.sample(range(20), 5), r.sample(range(5000), 7))'
  expect(random.sample(upTo(100), 5)).toEqual([99, 56, 14, 0, 11]);
  expect(random.sample(upTo(20), 5)).toEqual([18, 1, 2, 3, 11]);
  expect(random.sample(upTo(5000), 7)).toEqual([1939, 142, 252, 129, 2835, 3966, 3797]);
});

test("fields: what is unknown, missing, Python or not greedy is refused by name", () => {
  const refused = (changes: Fields, says: string) =>
    expect(() => taskOf(changes)).toThrow(
      expect.objectContaining({ kind: "usage", message: expect.stringContaining(says) }),
    );
  refused({ doc_to_image: "x" }, "field doc_to_image is not known");
  refused({ output_type: "loglikelihood_rolling" }, 'field output_type is "loglikelihood_rolling"');
  refused({ doc_to_choice: undefined }, "field doc_to_choice is missing");
  refused({ test_split: undefined }, "field test_split is missing");
  refused({ metric_list: [{ metric: "bleu" }] }, "field metric_list");
  refused({ generation_kwargs: { do_sample: true } }, "field generation_kwargs");
  refused({ filter_list: [{ name: "x", filter: [{ function: "vote" }] }] }, 'no filter "vote"');
});

test("files: include, data files, Python code", async () => {
  writeFileSync(join(folder, "common_yaml"), "output_type: multiple_choice\ntest_split: test\ndoc_to_target: 1\n");
  writeFileSync(
    join(folder, "a.yaml"),
    "include: common_yaml\ntask: a\ndoc_to_text: q\ndoc_to_choice: \"['x', '{{q}}']\"\ndataset_kwargs: {data_files: {test: rows.jsonl}}\n",
  );
  writeFileSync(join(folder, "b.yaml"), "include: common_yaml\ntask: b\nprocess_docs: !function utils.process_docs\n");
  writeFileSync(join(folder, "c.yaml"), "include: c.yaml\n");
  writeFileSync(join(folder, "rows.jsonl"), '{"q": "it"}\n');
  const [task] = loadTasks([join(folder, "a.yaml")]);
  const rows = await ownRows(task!, "test", folder);
  expect(promptOf(task!, rows![0]!, [])).toMatchObject({ choices: ["x", "it"], gold: [1] });
  const thrown = (name: string) => () => loadTasks([name]);
  const python = "field process_docs is Python code (utils.process_docs)";
  expect(thrown(join(folder, "b.yaml"))).toThrow(expect.objectContaining({ message: expect.stringContaining(python) }));
  expect(thrown(join(folder, "c.yaml"))).toThrow(
    expect.objectContaining({ message: expect.stringContaining("includes itself") }),
  );
  expect(thrown("xcopa_xx")).toThrow(
    expect.objectContaining({ kind: "usage", hint: expect.stringContaining("xcopa") }),
  );
  const data = await TaskData.open(join(folder, "rows.jsonl"), folder);
  expect(await data.rows(task!, "train")).toEqual([{ q: "it" }]);
});

test("examples: before the question, never the row itself, and as many as there should be", () => {
  const rows = ["a", "b", "c"].map((q, i) => ({ q, a: i % 2 }));
  const task = taskOf({ fewshot_split: "test", fewshot_config: { sampler: "first_n" }, description: "Say.\n" });
  const examples = new Examples(task, rows, 2);
  const contexts = rows.map((row) => promptOf(task, row, examples.of(row)).requests[0]!.context);
  expect(contexts).toEqual(["Say.\nb no\n\nc yes\n\na", "Say.\na yes\n\nc yes\n\nb", "Say.\na yes\n\nb no\n\nc"]);
  expect(() => new Examples(task, rows, 3)).toThrow(expect.objectContaining({ code: "task.examples" }));
});

test("acc takes the first of equals; acc_norm divides by the characters of a choice", () => {
  const task = taskOf({ metric_list: [{ metric: "acc" }, { metric: "acc_norm" }, { metric: "exact_match" }] });
  const prompt = { requests: [], choices: ["😀😀", "abc"], gold: [1], answers: [] };
  const of = (...all: number[]) =>
    scoreOutcomes(
      task,
      prompt,
      all.map((likelihood) => ({ likelihood, greedy: likelihood > -1.5 })),
    );
  expect(of(-2, -2)).toEqual({ acc: 0, acc_norm: 1, exact_match: 0 });
  // −2.8 / 2 characters against −4.3 / 3: four code units would turn it round.
  expect(of(-2.8, -4.3)).toEqual({ acc: 0, acc_norm: 0, exact_match: 0 });
  expect(of(-2, -1)).toEqual({ acc: 1, acc_norm: 1, exact_match: 1 });
});

test("totals: mean and standard error, perplexity", () => {
  expect(totalOf("acc", [1, 1, 1, 0])).toEqual({ value: 0.75, error: 0.25 });
  expect(totalOf("acc", [1])).toEqual({ value: 1, error: 0 });
  expect(totalOf("perplexity", [-Math.log(2), -Math.log(8)]).value).toBeCloseTo(4, 12);
});

test("answers: filters take out a number, comparing forgets case and signs", () => {
  const [first, last, none] = parseFilters(
    [
      {
        name: "first",
        filter: [{ function: "regex", regex_pattern: "is (\\-?[0-9\\.\\,]+)" }, { function: "take_first" }],
      },
      { name: "last", filter: [{ function: "regex", group_select: -1, regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)" }] },
      { name: "plain", filter: [{ function: "remove_whitespace" }, { function: "lowercase" }] },
    ],
    "t",
  );
  const text = "  It IS 5; it is 7.00, or $1,200 or 3";
  expect([first!.apply(text), last!.apply(text), none!.apply("  AB ")]).toEqual(["7.00,", "3", "ab "]);
  expect(first!.apply("nothing")).toBe("[invalid]");
  const task = taskOf({
    output_type: "generate_until",
    doc_to_choice: undefined,
    metric_list: [{ metric: "exact_match", ignore_case: true, ignore_punctuation: true, regexes_to_ignore: ["^the "] }],
  });
  const prompt = { requests: [], choices: [], gold: [], answers: ["Cat."] };
  expect(scoreAnswer(task, prompt, "the cat!")).toEqual({ exact_match: 1 });
  expect(scoreAnswer(task, prompt, "a cat")).toEqual({ exact_match: 0 });
});

test("tokens: blanks go with the continuation, nothing before is bos, the beginning is cut off", () => {
  const source = openSource(join(import.meta.dir, "../../../../shared/fixtures/udhr-lola"));
  const tokenizer = tokenizerOf(source);
  const { config } = source;
  const encode = (context: string, continuation: string, length = config.context) =>
    encodeRequest(tokenizer, config, length, { context, continuation });
  const asked = ({ targets }: { targets: Uint32Array }) =>
    tokenizer.decode(targets.filter((id) => id < config.vocabulary));
  const spaced = encode("All human ", "beings");
  expect(spaced).toEqual(encode("All human", " beings"));
  expect(asked(spaced)).toBe(" beings");
  const alone = encode("", " beings");
  expect(alone.tokens[0]).toBe(0);
  expect([asked(alone), alone.targets.length]).toEqual([" beings", tokenizer.encode(" beings").length]);
  const long = "All human beings are born free and equal in dignity and rights.";
  const cut = encode(long, " They", 8);
  expect(cut.tokens).toHaveLength(8);
  expect(asked(cut)).toBe(" They");
  expect([...cut.tokens, cut.targets.at(-1)!]).toEqual([...tokenizer.encode(`${long} They`).slice(-9)]);
  expect(() => encode("a", long, 4)).toThrow(expect.objectContaining({ code: "task.long" }));
  source.close();
});
