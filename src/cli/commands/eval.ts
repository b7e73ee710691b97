/** `lola eval`: what a model costs in each language, how it answers, and whether two models differ by more than noise. */
import type { Differences } from "../../evaluate/differences.ts";
import { evalFlags } from "../eval-flags.ts";
import { showDifferences, showText } from "../eval-show.ts";
import type { TasksEvaluation } from "../eval-tasks.ts";
import { showTaskList, showTasks, type TaskList } from "../eval-tasks-show.ts";
import type { TextEvaluation } from "../eval-text.ts";
import { defineCommand } from "../table.ts";

export const evaluation = defineCommand({
  name: "eval",
  summary: "measures a model in every language, and compares two",
  examples: [
    { line: "lola eval udhr", doc: "the built-in model on the Declaration, by family and language" },
    { line: "lola eval text texts/ -m model.lola -o a.json", doc: "texts of your own: texts/swa.txt, deu.jsonl ..." },
    { line: "lola eval udhr --lang swa,lin --report swa.html", doc: "two languages, with a page of bars" },
    { line: "lola eval tasks -t xcopa_et --data rows/", doc: "questions of XCOPA from rows/xcopa_et/test.jsonl" },
    { line: "lola eval compare a.json b.json", doc: "what differs, and what of it is noise" },
  ],
  actions: {
    text: "bits per byte and perplexity of texts, by language",
    udhr: "the same of the Declaration, which is inside",
    tasks: "multiple choice and answers, as lm-evaluation-harness asks them",
    compare: "two results on the same samples",
  },
  args: [{ name: "paths", doc: "text: files or folders; compare: two results", many: true, complete: "file" }],
  flags: evalFlags,
  notes: [
    "A document is scored after an end of text, its first token too; no end is scored behind it. Each token is scored once, in windows that overlap. Bits per byte: −log₂ of the probability of all tokens, by the text's bytes in UTF-8; perplexity: of a token, so it compares models of one tokenizer only.",
    "Intervals are of 95 %, by bootstrap over documents (2,000 resamples, seeded): over paragraphs where a language has fewer than 20 documents, which tells how the text at hand varies, not how another would. compare resamples the same units for both.",
    "Tasks are YAML files with the fields of lm-evaluation-harness, without Python code; contexts, continuations, examples and metrics are its own, to the token. tasks --list names those that ship, with prompts but without rows: --data DIR has them as TASK/SPLIT.jsonl, with the columns of the public data (also .json, .csv, .tsv, .parquet).",
    "With -o, each document or answer is kept as soon as it is there (in JSON.partial until all are), and the same command goes on from there. Another model, device, version or setting is refused without --force.",
    "lola help data tells what texts may look like; a document's language is its file's or folder's name, or its lang in JSONL.",
  ],
  async run(context): Promise<TextEvaluation | TasksEvaluation | TaskList | Differences> {
    switch (context.action) {
      case "text":
      case "udhr": {
        const { evaluateText } = await import("../eval-text.ts");
        return evaluateText(context);
      }
      case "tasks": {
        if (context.flags.list) {
          const { shippedTasks } = await import("../../evaluate/tasks/load.ts");
          return { shipped: shippedTasks() };
        }
        const { evaluateTasks } = await import("../eval-tasks.ts");
        return evaluateTasks(context);
      }
      case "compare": {
        const { compareResults } = await import("../eval-compare.ts");
        return compareResults(context);
      }
    }
  },
  show(result, style) {
    if ("differences" in result) return showDifferences(result, style);
    if ("shipped" in result) return showTaskList(result, style);
    return result.kind === "tasks" ? showTasks(result, style) : showText(result, style);
  },
});
