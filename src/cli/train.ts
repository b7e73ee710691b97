/** The work of `lola train`: a run begun or resumed, shown while it goes, told when it ends. */
import { openDevice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { parameterCounts } from "../model/presets.ts";
import type { RunConfig } from "../train/config.ts";
import type { TrainingEvent } from "../train/events.ts";
import { stepsOf, tokensOfStep } from "../train/loop.ts";
import { planTraining } from "../train/plan.ts";
import { ReportWriter } from "../train/report.ts";
import { readRun, TrainingRun } from "../train/run.ts";
import { quoted } from "./ask.ts";
import type { Context } from "./context.ts";
import { keepStdin } from "./kept-stdin.ts";
import { toJson } from "./streams.ts";
import type { Chosen } from "./train-ask.ts";
import { type Beginning, beginning, checkFolder, resumption } from "./train-begin.ts";
import { languageShares } from "./train-data.ts";
import { type TrainFlags, trainFlags } from "./train-flags.ts";
import { availableMemory, refuseTooLarge } from "./train-memory.ts";
import { Progress } from "./train-progress.ts";
import { facts, type Plan, shareTable, type Training } from "./train-show.ts";

type TrainContext = Context<TrainFlags>;

/** @returns the plan of a dry run, or how it ended */
export async function train(chosen: Chosen): Promise<Plan | Training> {
  const { context, flags, data } = chosen;
  const { notes } = context;
  const { resume, output } = flags;
  if (resume === undefined && output !== undefined) checkFolder(output);
  const { device: choice, ...engine } = engineFor(chosen);
  const { device, why } = await openDevice(choice, engine);
  try {
    notes.tell(why);
    const names = Object.keys(trainFlags) as (keyof TrainFlags)[];
    const given = names.filter((key) => context.origins.get(key) === "command line");
    const begin =
      resume === undefined
        ? await beginning(data, output, flags, device, notes)
        : await resumption(resume, data, given, flags, notes);
    const plan = planOf(begin, device);
    refuseTooLarge(plan);
    if (flags.dryRun || begin.folder === undefined) return plan;
    show(plan, context);
    return await carryOut(context, begin, begin.folder, plan, device);
  } finally {
    notes.progress("");
    device.close();
  }
}

/** A run that goes on does so on its own engine, in its own precision and with its own threads, unless others are asked for. */
function engineFor({ flags, context }: Chosen): Pick<TrainFlags, "device" | "precision"> & { threads?: number } {
  const { resume, device, precision } = flags;
  const begun = resume === undefined ? undefined : readRun(resume).config.device;
  const threads = flags.threads ?? begun?.threads;
  const counted = threads === undefined ? {} : { threads };
  if (!begun) return { device, precision, ...counted };
  const usual = (flag: "device" | "precision") => context.origins.get(flag) === "default";
  return {
    device: usual("device") ? engineOf(begun) : device,
    precision: usual("precision") ? (begun.precision ?? "f32") : precision,
    ...counted,
  };
}

export function engineOf({ kind, software }: RunConfig["device"]): TrainFlags["device"] {
  if (kind === "gpu") return software ? "software" : "auto";
  return kind === "cpu" || kind === "reference" ? kind : "auto";
}

function planOf({ folder, config, data, step }: Beginning, { info }: Device): Plan {
  const held = data.languages.map(({ validation }) => validation);
  return {
    run: folder ?? null,
    device: { kind: info.kind, name: info.name },
    ...{ config, step, steps: stepsOf(config) },
    parameters: parameterCounts(config.model),
    memory: { ...planTraining(config), available: availableMemory(info) },
    languages: languageShares(data.languages, config),
    heldOut: {
      languages: held.filter(({ documents }) => documents > 0).length,
      documents: held.reduce((sum, { documents }) => sum + documents, 0),
      bytes: held.reduce((sum, { bytes }) => sum + bytes, 0),
    },
  };
}

/** Before the first step: languages and sizes on stderr, and as an event. */
function show(plan: Plan, { flags, notes, out }: TrainContext): void {
  notes.log(`${shareTable(plan.languages, !notes.terminal)}\n\n${facts(plan)}\n`);
  const { device, config } = plan;
  if (config.device.kind !== device.kind || config.device.name !== device.name)
    notes.warn(
      `the run began on ${config.device.kind}: ${config.device.name}; here its numbers will round differently`,
    );
  if (flags.jsonl) out.line(toJson({ event: "start", ...plan }));
}

async function carryOut(
  context: TrainContext,
  begin: Beginning,
  folder: string,
  plan: Plan,
  device: Device,
): Promise<Training> {
  const { flags, notes, out } = context;
  const { config, data, model } = begin;
  notes.progress("loading");
  const run =
    flags.resume === undefined
      ? await TrainingRun.create(device, folder, config, data, model)
      : await TrainingRun.resume(device, folder, data);
  try {
    keepStdin(begin.stdin);
    model?.close();
    const progress = new Progress(notes, run.steps);
    const report = new ReportWriter(folder, config, plan.languages);
    let loss: number | null = null;
    let bitsPerByte: number | null = null;
    const onEvent = (event: TrainingEvent) => {
      progress.see(event);
      if (event.event === "step") loss = event.loss;
      if (event.event === "validation") bitsPerByte = event.bitsPerByte;
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
      report.finish();
    });
    const seconds = (performance.now() - started) / 1000;
    const tokens = outcome.step * tokensOfStep(config);
    const result = { run: folder, ...outcome, steps: run.steps, tokens, seconds, loss, bitsPerByte };
    if (outcome.end === "stopped") notes.log(`stopped and saved; to go on: lola train --resume ${quoted(folder)}`);
    if (flags.jsonl) out.line(toJson({ event: "end", ...result }));
    return result;
  } finally {
    run.close();
  }
}
