/** The work of `lola finetune`: a run begun or resumed, shown while it goes, told when it ends. */
import { adapterTensors } from "../checkpoint/adapter.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import { ExampleBatches } from "../data/example-batches.ts";
import { idOf } from "../data/example-tokens.ts";
import { type Preview, previewExamples } from "../data/preview.ts";
import type { LanguageShare } from "../data/sampling.ts";
import { openDevice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { parameterCounts } from "../model/presets.ts";
import type { RunSettings, TuningConfig } from "../train/config.ts";
import type { TrainingEvent, ValidationEvent } from "../train/events.ts";
import { runFiles } from "../train/folder.ts";
import { stepsOf, tokensOfStep } from "../train/loop.ts";
import { ReportWriter, readEvents } from "../train/report.ts";
import { readTuningRun, type TuningData, TuningRun, trainedPart } from "../train/tuning-run.ts";
import { quoted } from "./ask.ts";
import type { Chosen } from "./finetune-ask.ts";
import { type Beginning, beginning, readData, resumption } from "./finetune-begin.ts";
import { type FinetuneContext, finetuneFlags } from "./finetune-flags.ts";
import { checkFlags } from "./finetune-settings.ts";
import { type Measured, type Plan, showPlan, type Tuned } from "./finetune-show.ts";
import { keepStdin } from "./kept-stdin.ts";
import { openNamed } from "./model.ts";
import { toJson } from "./streams.ts";
import { engineOf } from "./train.ts";
import { checkFolder } from "./train-begin.ts";
import { availableMemory } from "./train-memory.ts";
import { Progress } from "./train-progress.ts";

/** What a command line asks for: examples as they are learnt, what would be done, or how it ended. */
export type Result = { previews: Preview[] } | Plan | Tuned;

/** @throws LolaError, DataError */
export async function finetune(chosen: Chosen): Promise<Result> {
  const { context, flags, data: paths } = chosen;
  const { notes } = context;
  const { resume, output } = flags;
  if (resume !== undefined) return resumed(chosen, resume);
  if (output !== undefined && flags.preview === undefined) checkFolder(output, "finetune");
  const model = await openNamed(flags.model, notes);
  try {
    checkFlags(flags, model.config);
    const read = await readData(paths, output, flags, model, notes);
    const { examples, tokenizer } = read.data;
    if (flags.preview !== undefined) return { previews: previewExamples(examples, tokenizer, flags.preview) };
    const { device, why } = await openDevice(flags.device, engineOptions(flags));
    try {
      notes.tell(why);
      return await carryOut(context, await beginning(read, context, flags, device), output, device);
    } finally {
      notes.progress("");
      device.close();
    }
  } finally {
    model.close();
  }
}

/** A run goes on on its own engine, in its own precision and with its own threads, unless others are asked for. */
async function resumed({ context, flags, data: paths }: Chosen, folder: string): Promise<Result> {
  const { notes, origins } = context;
  const begun = readTuningRun(folder).config.device;
  const choice = origins.get("device") === "default" ? engineOf(begun) : flags.device;
  const { device, why } = await openDevice(
    choice,
    engineOptions({ precision: begun.precision ?? "f32", threads: flags.threads ?? begun.threads }),
  );
  try {
    notes.tell(why);
    const names = Object.keys(finetuneFlags) as (keyof typeof finetuneFlags)[];
    const given = names.filter((key) => origins.get(key) === "command line");
    const begin = await resumption(folder, paths, given, flags, notes);
    try {
      return await carryOut(context, begin, folder, device);
    } finally {
      begin.data.model.close();
    }
  } finally {
    notes.progress("");
    device.close();
  }
}

function engineOptions({ threads, precision }: Pick<Chosen["flags"], "threads" | "precision">) {
  return { precision, ...(threads && { threads }) };
}

async function carryOut(
  context: FinetuneContext,
  begin: Beginning,
  folder: string | undefined,
  device: Device,
): Promise<Plan | Tuned> {
  const { flags, notes, out } = context;
  const plan = planOf(begin, folder, device);
  if (flags.dryRun || folder === undefined) return plan;
  const { config, data } = begin;
  notes.log(`${showPlan(plan)}\n`);
  if (config.device.kind !== device.info.kind || config.device.name !== device.info.name)
    notes.warn(
      `the run began on ${config.device.kind}: ${config.device.name}; here its numbers will round differently`,
    );
  if (flags.jsonl) out.line(toJson({ event: "start", ...plan }));
  notes.progress("loading");
  const run = await (flags.resume === undefined
    ? TuningRun.create(device, folder, config, data)
    : TuningRun.resume(device, folder, data));
  try {
    keepStdin(begin.stdin);
    const progress = new Progress(notes, run.steps);
    const report = new ReportWriter(folder, config, plan.languages);
    let loss: number | null = null;
    const onEvent = (event: TrainingEvent) => {
      progress.see(event);
      if (event.event === "step") loss = event.loss;
      if (event.event === "save") report.saved();
      if (flags.jsonl) out.line(toJson(event));
    };
    const started = performance.now();
    const signal = context.cancellation();
    signal.addEventListener("abort", () => notes.log("finishing the step and saving; once more leaves at once"));
    const saveSoon = () => run.saveSoon();
    process.on("SIGUSR2", saveSoon);
    const outcome = await run.train({ signal, onEvent }).finally(() => {
      process.off("SIGUSR2", saveSoon);
      return report.finish();
    });
    const seconds = (performance.now() - started) / 1000;
    const tokens = outcome.step * tokensOfStep(config);
    const file = runFiles(folder).best;
    const result: Tuned = {
      ...{ run: folder, method: config.method, file, ...outcome, steps: run.steps, tokens, seconds, loss },
      ...measurements(folder),
    };
    if (outcome.end === "stopped") notes.log(`stopped and saved; to go on: lola finetune --resume ${quoted(folder)}`);
    if (flags.jsonl) out.line(toJson({ event: "end", ...result }));
    return result;
  } finally {
    run.close();
  }
}

function planOf(
  { config, data, step, memory, experts }: Beginning,
  folder: string | undefined,
  { info }: Device,
): Plan {
  return {
    run: folder ?? null,
    model: data.model.label,
    device: { kind: info.kind, name: info.name },
    ...{ config, step, steps: stepsOf(config) },
    parameters: { total: parameterCounts(config.model).total, trained: trainedCount(config, data) },
    memory: { ...memory, available: availableMemory(info) },
    data: data.examples.summary,
    languages: languageShares(data, config),
    experts: experts ?? null,
  };
}

function trainedCount(config: TuningConfig, { model }: TuningData): number {
  const { adapter } = config.shape;
  const { trains } = trainedPart(config, model);
  const shapes = adapter
    ? [...adapterTensors(config.model, adapter).values()]
    : Array.from(expectedTensors(config.model)).flatMap(([name, shape]) => (trains(name) ? [shape] : []));
  return shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** What each language gets of the training. */
function languageShares(
  { examples, tokenizer }: TuningData,
  { model, recipe, shape, seed }: RunSettings,
): LanguageShare[] {
  const { tokens, train, summary } = examples;
  const { words, starts, languages } = tokens;
  const all = summary.languages.reduce((sum, language) => sum + language.train.tokens, 0);
  const batches = new ExampleBatches({
    ...{ tokens, examples: train, eos: model.eos, batch: 1, context: shape.time, seed: BigInt(seed) },
  });
  const epochs = recipe.tokens / shape.time / batches.rows(1);
  const bytes = summary.languages.map(() => 0);
  for (const i of train)
    for (let at = starts[i]!; at < starts[i + 1]!; at++)
      bytes[languages[i]!]! += tokenizer.bytes(idOf(words[at]!)).length;
  const shares = summary.languages.map(({ language, train: { examples: documents, tokens: own } }, i) => {
    const probability = own / all;
    return { language, documents, bytes: bytes[i]!, tokens: own, probability, epochs };
  });
  return shares.sort((a, b) => b.probability - a.probability || (a.language < b.language ? -1 : 1));
}

/** What held-out examples said before the first step, at best and at last. */
function measurements(folder: string): Pick<Tuned, "before" | "best" | "last"> {
  const events = readEvents(runFiles(folder).metrics).filter((e): e is ValidationEvent => e.event === "validation");
  const told = (event: ValidationEvent | undefined): Measured | null =>
    event ? { step: event.step, bitsPerByte: event.bitsPerByte, languages: event.languages } : null;
  const before = told(events.find(({ step }) => step === 0));
  const best = events.reduce<ValidationEvent | undefined>(
    (a, b) => (a === undefined || b.bitsPerByte < a.bitsPerByte ? b : a),
    undefined,
  );
  return { before, best: told(best), last: told(events.at(-1)) };
}
