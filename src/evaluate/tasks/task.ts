/** A task of evaluation, from the fields of lm-evaluation-harness's YAML (docs/task_guide.md there). */
import { LolaError } from "../../base/errors.ts";
import { type FilterChain, parseFilters } from "./filters.ts";
import { Template } from "./template.ts";

export type OutputType = "multiple_choice" | "loglikelihood" | "generate_until";

/** What `doc_to_…` says: the name of a column, or a template. */
export interface Part {
  source: string;
  template: Template;
}

export type MetricName = "acc" | "acc_norm" | "exact_match" | "perplexity";

export interface Metric {
  name: MetricName;
  /** Of exact_match. */
  ignoreCase: boolean;
  ignorePunctuation: boolean;
  ignoreNumbers: boolean;
  /** Patterns that are left out before comparing. */
  ignored: readonly RegExp[];
}

export interface Task {
  name: string;
  /** ISO 639-3, with a script where it is not the usual one; undefined where the task does not say. */
  language?: string;
  /** Folder of the file that the task was read from; undefined for those that ship. */
  folder?: string;
  dataset: {
    path?: string;
    name?: string;
    /** Files by split; "" stands for any. */
    files: Readonly<Record<string, string>>;
  };
  /** What is asked, where examples come from, and whether the harness takes those for the same rows. */
  split: { test: string; fewshot: string; shared: boolean };
  outputType: OutputType;
  text: Part;
  target: Part | number;
  choices?: Part | readonly string[];
  description: Part;
  targetDelimiter: string;
  fewshotDelimiter: string;
  shots: number;
  /** Which examples: drawn at random, or the first. */
  sampler: "default" | "first_n";
  until: readonly string[];
  /** Of an answer, at most. */
  maxTokens: number;
  metrics: readonly Metric[];
  filters: readonly FilterChain[];
}

export type Fields = Readonly<Record<string, unknown>>;

/** Python code that a task names: `!function utils.process_docs`. */
export class PythonFunction {
  constructor(readonly name: string) {}
}

/** Of no consequence here. */
const told = [
  ..."group tag task_alias include should_decontaminate doc_to_decontamination_query metadata".split(" "),
  ..."dataset_path dataset_name training_split".split(" "),
];
const read =
  "task language dataset_kwargs test_split validation_split fewshot_split fewshot_config output_type doc_to_text doc_to_target doc_to_choice description target_delimiter fewshot_delimiter num_fewshot generation_kwargs metric_list filter_list repeats".split(
    " ",
  );
const outputTypes: readonly string[] = ["multiple_choice", "loglikelihood", "generate_until"] satisfies OutputType[];
const metricsOf: Readonly<Record<OutputType, readonly MetricName[]>> = {
  multiple_choice: ["acc", "acc_norm", "exact_match"],
  loglikelihood: ["acc", "perplexity"],
  generate_until: ["exact_match"],
};

/**
 * @param fields of one task, what it includes put in
 * @param label names the file in messages
 * @throws LolaError "usage" naming the field that is missing, unknown or not what it should be
 */
export function parseTask(fields: Fields, label: string, folder?: string): Task {
  const name = new Field(fields, "task", label).text();
  const field = (key: string) => new Field(fields, key, name ?? label);
  if (!name) throw field("task").refused("a name");
  for (const [key, value] of Object.entries(fields)) {
    if (value === null) continue;
    const python = pythonIn(value);
    if (python) {
      const says = `${label}: field ${key} is Python code (${python.name}), which is not run here`;
      throw new LolaError(
        "usage",
        says,
        "a Jinja template in its place; lola eval tasks --list for the tasks that ship",
      );
    }
    if (!told.includes(key) && !read.includes(key))
      throw new LolaError("usage", `${label}: field ${key} is not known`, "the task without it");
  }
  const outputType = field("output_type").choice(outputTypes) as OutputType | undefined;
  if (!outputType) throw field("output_type").refused(outputTypes.join(", "));
  const part = (key: string) => field(key).part();
  const target = field("doc_to_target").number() ?? part("doc_to_target");
  if (target === undefined) throw field("doc_to_target").refused("a column, a template or a number");
  const choices = field("doc_to_choice").list() ?? part("doc_to_choice");
  if (outputType === "multiple_choice" && !choices)
    throw field("doc_to_choice").refused("columns, a template or a list");
  const [training, validation] = [field("training_split").text(), field("validation_split").text()];
  const test = field("test_split").text() ?? validation;
  if (test === undefined) throw field("test_split").refused("the name of a split");
  const shown = field("fewshot_config").record();
  const sampler = new Field(shown, "sampler", name).choice(["default", "first_n"]) ?? "default";
  if ((field("repeats").number() ?? 1) !== 1) throw field("repeats").refused("1");
  const generation = field("generation_kwargs").record();
  const until = new Field(generation, "until", name);
  if (generation.do_sample === true || Number(generation.temperature ?? 0) > 0)
    throw field("generation_kwargs").refused("greedy: do_sample false, temperature 0");
  const delimiter = field("fewshot_delimiter").text() ?? "\n\n";
  const [language, path] = [field("language").text(), field("dataset_path").text()];
  const dataset = field("dataset_name").text();
  return {
    name,
    ...(language && { language }),
    ...(folder && { folder }),
    dataset: { ...(path && { path }), ...(dataset && { name: dataset }), files: filesOf(field("dataset_kwargs")) },
    split: {
      test,
      fewshot: field("fewshot_split").text() ?? training ?? validation ?? test,
      // Its own test, by which two fields that are not given are equal too.
      shared: field("fewshot_split").text() === field("test_split").text(),
    },
    outputType,
    text: part("doc_to_text") ?? partOf("", name),
    target,
    ...(choices && { choices }),
    description: part("description") ?? partOf("", name),
    targetDelimiter: field("target_delimiter").text() ?? " ",
    fewshotDelimiter: delimiter,
    shots: field("num_fewshot").number() ?? 0,
    sampler: sampler as Task["sampler"],
    until: until.list() ?? [until.text() ?? delimiter],
    maxTokens: new Field(generation, "max_gen_toks", name).number() ?? 256,
    metrics: parseMetrics(field("metric_list"), outputType),
    filters: parseFilters(fields.filter_list, name),
  };
}

/** One field of a task, `undefined` where it is not given or null. */
class Field {
  constructor(
    private readonly fields: Fields,
    private readonly key: string,
    private readonly label: string,
  ) {}

  private get value(): unknown {
    return this.fields[this.key] ?? undefined;
  }

  text(): string | undefined {
    if (this.value === undefined || typeof this.value === "string") return this.value;
    if (typeof this.value === "number" || typeof this.value === "boolean") return String(this.value);
    throw this.refused("text");
  }

  number(): number | undefined {
    return typeof this.value === "number" ? this.value : undefined;
  }

  choice(all: readonly string[]): string | undefined {
    const text = this.text();
    if (text === undefined || all.includes(text)) return text;
    throw this.refused(all.join(", "));
  }

  list(): string[] | undefined {
    return Array.isArray(this.value) ? this.value.map(String) : undefined;
  }

  record(): Fields {
    if (this.value === undefined) return {};
    if (typeof this.value === "object" && !Array.isArray(this.value)) return this.value as Fields;
    throw this.refused("fields");
  }

  records(): Fields[] {
    if (this.value === undefined) return [];
    if (Array.isArray(this.value) && this.value.every((one) => typeof one === "object" && one)) return this.value;
    throw this.refused("a list of fields");
  }

  part(): Part | undefined {
    const text = this.text();
    return text === undefined ? undefined : partOf(text, `${this.label}: ${this.key}`);
  }

  refused(wanted: string): LolaError {
    const found = JSON.stringify(this.value);
    return new LolaError(
      "usage",
      `${this.label}: field ${this.key} is ${found ?? "missing"}`,
      `${this.key}: ${wanted}`,
    );
  }
}

const partOf = (source: string, label: string): Part => ({ source, template: new Template(label, source) });

function pythonIn(value: unknown): PythonFunction | undefined {
  if (value instanceof PythonFunction) return value;
  if (typeof value !== "object" || value === null) return undefined;
  for (const one of Object.values(value)) {
    const found = pythonIn(one);
    if (found) return found;
  }
  return undefined;
}

function filesOf(kwargs: Field): Record<string, string> {
  const { data_files: files } = kwargs.record();
  if (files === undefined) return {};
  if (typeof files === "string") return { "": files };
  const named = typeof files === "object" && files && !Array.isArray(files) ? Object.entries(files) : [];
  if (named.length > 0 && named.every(([, file]) => typeof file === "string")) return Object.fromEntries(named);
  throw kwargs.refused("data_files: a file, or one for each split");
}

const metricKeys =
  "metric aggregation higher_is_better ignore_case ignore_punctuation ignore_numbers regexes_to_ignore".split(" ");

/** The harness's own choice where a task names none. */
const usualMetrics: Readonly<Record<OutputType, readonly Fields[]>> = {
  multiple_choice: [{ metric: "acc" }, { metric: "acc_norm" }],
  loglikelihood: [{ metric: "perplexity" }, { metric: "acc" }],
  generate_until: [{ metric: "exact_match" }],
};

function parseMetrics(field: Field, outputType: OutputType): Metric[] {
  const records = field.records();
  return (records.length > 0 ? records : usualMetrics[outputType]).map((record) => {
    const name = metricsOf[outputType].find((known) => known === record.metric);
    if (!name) throw field.refused(`of ${outputType}: ${metricsOf[outputType].join(", ")}`);
    const strange = Object.keys(record).find((key) => !metricKeys.includes(key));
    if (strange) throw field.refused(`${name} without ${strange}`);
    const ignored = record.regexes_to_ignore;
    return {
      name,
      ignoreCase: record.ignore_case === true,
      ignorePunctuation: record.ignore_punctuation === true,
      ignoreNumbers: record.ignore_numbers === true,
      ignored: Array.isArray(ignored) ? ignored.map((pattern) => new RegExp(String(pattern), "g")) : [],
    };
  });
}
