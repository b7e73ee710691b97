/** What `lola finetune` tells before the first step and after the last one. */
import { targetGroups } from "../checkpoint/adapter.ts";
import type { ExampleSummary } from "../data/examples.ts";
import { kindName } from "../data/kinds.ts";
import type { Preview } from "../data/preview.ts";
import type { LanguageShare } from "../data/sampling.ts";
import type { TuningConfig } from "../train/config.ts";
import type { Outcome } from "../train/loop.ts";
import type { TrainingPlan } from "../train/plan.ts";
import type { RoutedExperts } from "../train/routed-experts.ts";
import { quoted } from "./ask.ts";
import { grouped, percent, type Style, table } from "./style.ts";
import { duration } from "./train-progress.ts";
import { memoryRows } from "./train-show.ts";

/** What is about to be trained: what `--dry-run` prints. */
export interface Plan {
  run: string | null;
  model: string;
  device: { kind: string; name: string };
  config: TuningConfig;
  /** Steps done, of how many. */
  step: number;
  steps: number;
  parameters: { total: number; trained: number };
  /** Bytes, and those that the machine has left; null where it does not tell. */
  memory: TrainingPlan & { available: number | null };
  data: ExampleSummary;
  /** What each language gets of the training. */
  languages: LanguageShare[];
  /** Where only some experts are trained and it was found out now: which see the data. */
  experts: RoutedExperts[] | null;
}

/** How a run ended this time: what `lola finetune --json` prints, its keys in snake_case. */
export interface Tuned extends Outcome {
  run: string;
  method: TuningConfig["method"];
  /** What came of it. */
  file: string;
  steps: number;
  tokens: number;
  seconds: number;
  /** Of the last step, nats a token. Null where there was none this time. */
  loss: number | null;
  /** Bits per byte of held-out examples: before the first step, at best, at the end; null where nothing is held out. */
  before: Measured | null;
  best: Measured | null;
  last: Measured | null;
}

/** At a step, of all languages together and of each. */
export interface Measured {
  step: number;
  bitsPerByte: number;
  languages: Record<string, number>;
}

/** Rows of a table that is cut short. */
const most = 20;

/** All that is told before the first step. */
export function showPlan(plan: Plan): string {
  const experts = plan.experts ? [expertTable(plan.experts)] : [];
  return [dataTold(plan), ...experts, facts(plan)].join("\n\n");
}

/** What was read, a line for each file, and a table of languages where there are several. */
function dataTold({ data, languages, config }: Plan): string {
  const { files, longest, tooLong, dropped } = data;
  const fileLine = ({ label, kind, examples }: ExampleSummary["files"][number]) =>
    kind === undefined ? `${label}: empty` : `${label}: ${grouped(examples)} examples as ${kindName(kind)}`;
  const more = files.length > most ? [`... ${files.length - most} more files`] : [];
  const longer = `${grouped(tooLong)} longer than the context`;
  const left =
    dropped > 0 ? `${grouped(dropped)} of them left out` : config.data.tooLong === "split" ? "split" : "cut to it";
  const length = `longest: ${grouped(longest.tokens)} tokens, ${longest.where}${tooLong > 0 ? `; ${longer}, ${left}` : ""}`;
  const rows = data.languages.slice(0, most).map(({ language, train, validation }) => {
    const share = languages.find((l) => l.language === language);
    return [
      language,
      train.examples,
      train.tokens,
      train.counted,
      validation.examples,
      share ? share.epochs.toFixed(1) : "",
    ];
  });
  const cut = data.languages.length > most ? [[`... ${data.languages.length - most} more`]] : [];
  const head = ["language", "examples", "tokens", "learnt", "held out", "epochs"];
  return [...files.slice(0, most).map(fileLine), ...more, length, "", table([head, ...rows, ...cut])].join("\n");
}

/** The settings of a run in a few lines. */
function facts({ config, model, parameters, steps, step, device, memory, data }: Plan): string {
  const { shape, accumulate, recipe, validateEvery, patience } = config;
  const parts = accumulate > 1 ? ` in ${accumulate} parts` : "";
  const again = shape.recompute ? ", activations computed again" : "";
  const held = data.languages.reduce((sum, { validation }) => sum + validation.examples, 0);
  const early = patience ? `; ends early after ${patience} without a better one` : "";
  return table([
    ["model", model],
    ["method", methodLine(config)],
    ["trained", `${grouped(parameters.trained)} of ${grouped(parameters.total)} parameters`],
    ["template", config.template.name],
    [
      "steps",
      `${grouped(steps)} of ${shape.batch * accumulate} × ${shape.time} tokens${parts}, ${grouped(recipe.tokens)} in all${again}`,
    ],
    ...(step > 0 ? [["done", `${grouped(step)} steps`]] : []),
    [
      "learning rate",
      `${recipe.rate} to ${recipe.finalRate} (${recipe.optimizer}), warm-up over ${grouped(recipe.warmup)} tokens`,
    ],
    ["held out", held > 0 ? `${grouped(held)} examples, every ${grouped(validateEvery)} steps${early}` : "nothing"],
    ...memoryRows(memory),
    ["device", `${device.kind}: ${device.name}`],
  ]);
}

function methodLine({ method, shape: { adapter }, experts }: TuningConfig): string {
  const count = experts?.reduce((sum, list) => sum + list.length, 0);
  if (adapter) {
    const { rank, alpha, dropout, targets } = adapter;
    const dropped = dropout > 0 ? `, dropout ${dropout}` : "";
    const groups = Object.entries(targetGroups).filter(([, group]) => group.some((target) => targets.includes(target)));
    const on = groups.map(([name]) => name).join(", ");
    return `lora: rank ${rank}, alpha ${alpha}${dropped}, on ${on}${count === undefined ? "" : `; of ${count} experts`}`;
  }
  return method === "full" ? "full: all weights" : `experts: the weights of ${count} of them, all else frozen`;
}

/** Which experts see the data. */
function expertTable(experts: readonly RoutedExperts[]): string {
  const rows = experts.map(({ layer, experts: list, shares, covered }) => [
    `layer ${layer}`,
    `${list.length} of ${shares.length}`,
    percent(covered),
    list.join(" "),
  ]);
  return table([["", "experts", "of the tokens", "which"], ...rows]);
}

/** Examples as they are learnt: the tokens that count in bold, the others dim; between marks where nothing can be bold. */
export function showPreview(previews: readonly Preview[], style: Style): string {
  const marks = style.bold("") === "" ? (["[[", "]]"] as const) : (["", ""] as const);
  const one = ({ language, tokens, counted, pieces }: Preview, i: number) => {
    const head = `example ${i + 1} of ${previews.length}, ${language}: ${grouped(tokens)} tokens, ${grouped(counted)} of them learnt`;
    const text = pieces.map((p) => (p.counts ? marks[0] + style.bold(p.text) + marks[1] : style.dim(p.text)));
    return `${head}\n${text.join("")}`;
  };
  return previews.map(one).join("\n\n");
}

export function showTuned(tuned: Tuned): string {
  const { run, end, step, steps, tokens, seconds, loss, before, best, last, skipped, method, file } = tuned;
  const left = skipped > 0 ? `; ${skipped} left out` : "";
  const how = end === "early" ? "ended early: it got no better" : end;
  const told = table([
    ["run", run],
    ["steps", `${grouped(step)} of ${grouped(steps)}, ${how}${left}`],
    ["tokens", grouped(tokens)],
    ["time", duration(seconds)],
    ...(loss === null ? [] : [["loss", loss.toFixed(4)]]),
    ...(best ? [["best", `step ${best.step}: ${best.bitsPerByte.toFixed(4)} bits per byte held out`]] : []),
    ...(last && last.step !== best?.step ? [["last", `step ${last.step}: ${last.bitsPerByte.toFixed(4)}`]] : []),
    [method === "lora" ? "adapter" : "model", file],
    ["try it", `lola generate ${method === "lora" ? "--adapter" : "-m"} ${quoted(run)} "..."`],
  ]);
  return before && best ? `${told}\n\n${changes(before, best)}` : told;
}

/** What held-out examples gained, all together and, of several languages, each. */
function changes(before: Measured, best: Measured): string {
  const row = (name: string, from: number | undefined, to: number) =>
    from === undefined ? [] : [[name, from.toFixed(4), to.toFixed(4), signed(to / from - 1)]];
  const languages = Object.entries(best.languages);
  const each = languages.length > 1 ? languages.flatMap(([name, to]) => row(name, before.languages[name], to)) : [];
  const cut = each.length > most ? [[`... ${each.length - most} more`]] : [];
  const all = row("all", before.bitsPerByte, best.bitsPerByte);
  return table([["bits per byte", "before", "best", "change"], ...all, ...each.slice(0, most), ...cut]);
}

function signed(share: number): string {
  return `${share < 0 ? "-" : "+"}${percent(Math.abs(share))}`;
}
