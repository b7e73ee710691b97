/** Where `lola finetune` begins: flags, data and model → settings and examples; of a new run, or of one that goes on. */
import { join, resolve } from "node:path";
import { places } from "../base/paths.ts";
import { modelPath } from "../checkpoint/models.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { ExampleBatches } from "../data/example-batches.ts";
import { type ExampleSet, openExamples } from "../data/examples.ts";
import { type ExampleFormat, exampleFormats } from "../data/formats/read.ts";
import { findSources, type Source } from "../data/sources.ts";
import { alpaca, readTemplate, type Template } from "../data/template.ts";
import { openDevice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { tokenizerOf } from "../model/open.ts";
import type { TuningConfig } from "../train/config.ts";
import type { TrainingPlan } from "../train/plan.ts";
import { type RoutedExperts, routedExperts } from "../train/routed-experts.ts";
import { readTuningRun, type TuningData } from "../train/tuning-run.ts";
import type { FinetuneContext, FinetuneFlags } from "./finetune-flags.ts";
import { fitted, memoryOf } from "./finetune-memory.ts";
import {
  type Basis,
  expertShare,
  refuseChanges,
  resolveTuning,
  rowTokens,
  validationShare,
} from "./finetune-settings.ts";
import { type KeptStdin, keptPaths, keptStdin } from "./kept-stdin.ts";
import { openNamed } from "./model.ts";
import type { Notes } from "./streams.ts";
import { grouped } from "./style.ts";
import { availableMemory } from "./train-memory.ts";
import { deviceOf } from "./train-settings.ts";

/** Examples, and what they were read from and with. */
export interface Read {
  data: TuningData;
  template: Template;
  /** Absolute. */
  paths: string[];
  keep: string[];
  /** To be put into the folder of the run. */
  stdin: KeptStdin | undefined;
}

/** All that a run needs but a device. */
export interface Beginning {
  config: TuningConfig;
  data: TuningData;
  memory: TrainingPlan;
  /** Steps done. */
  step: number;
  /** Where only some experts are trained, how they were found. */
  experts: RoutedExperts[] | undefined;
  /** To be put into the folder of the run. */
  stdin: KeptStdin | undefined;
}

/** Reads the examples of a new run. @throws LolaError, DataError */
export async function readData(
  paths: readonly string[],
  folder: string | undefined,
  flags: FinetuneFlags,
  model: ModelSource,
  notes: Notes,
): Promise<Read> {
  const template = flags.template === undefined ? alpaca : readTemplate(flags.template);
  const sources = await dataFiles(paths);
  const { trainOnPrompt, tooLong = "error", context = model.config.context } = flags;
  const settings = { template, trainOnPrompt, tooLong, context, validation: validationShare(flags) };
  const kept = flags.keep.length > 0 ? await dataFiles(flags.keep) : [];
  const data = await readExamples(sources, kept, model, settings, notes);
  const stdin = keptStdin(sources, folder);
  const keep = flags.keep.map((path) => resolve(path));
  return { data, template, paths: keptPaths(paths, stdin), keep, stdin };
}

/** A new run. @throws LolaError, DataError */
export async function beginning(
  read: Read,
  context: FinetuneContext,
  flags: FinetuneFlags,
  device: Device,
): Promise<Beginning> {
  const { data, template, paths, keep, stdin } = read;
  const { model, examples } = data;
  const { info } = device;
  const experts = await chosenExperts(data, flags, context.notes);
  const { longest, tooLong, languages } = examples.summary;
  const time = rowTokens(flags, model.config, longest.tokens);
  const batches = new ExampleBatches({
    ...{ tokens: examples.tokens, examples: examples.train, eos: model.config.eos },
    ...{ batch: 1, context: time, seed: flags.seed ?? 1n },
  });
  const basis: Basis = {
    model: model.config,
    base: { model: flags.model === undefined ? null : located(flags.model), identity: model.identity },
    device: deviceOf(info, flags),
    ...{ paths, keep, template, time },
    languages: languages.length,
    rows: (epochs) => batches.rows(epochs),
    experts: experts?.map((layer) => layer.experts),
  };
  const available = availableMemory(info);
  const limits = [available, flags.budget].filter((limit) => typeof limit === "number");
  const limit = limits.length > 0 ? Math.min(...limits) : null;
  const most = tooLong > 0 ? time : longest.tokens;
  return {
    ...fitted(resolveTuning(flags, basis), model, flags, limit, most),
    ...{ data, step: 0, experts, stdin },
  };
}

/**
 * A run that goes on.
 * @param paths where its data is now; none: where it was
 * @throws LolaError "usage" where a flag says something else than the run; DataError
 */
export async function resumption(
  folder: string,
  paths: readonly string[],
  given: readonly (keyof FinetuneFlags)[],
  flags: FinetuneFlags,
  notes: Notes,
): Promise<Beginning> {
  const { config, step } = readTuningRun(folder);
  refuseChanges(flags, given, config);
  const named = given.includes("model") ? flags.model : (config.base.model ?? undefined);
  const model = await openNamed(named, notes);
  try {
    const { trainOnPrompt, tooLong, validation } = config.data;
    const settings = { template: config.template, trainOnPrompt, tooLong, validation, context: config.shape.time };
    const sources = await dataFiles(paths.length > 0 ? paths : config.data.paths);
    const kept = config.data.keep ? await dataFiles(config.data.keep.paths) : [];
    const data = await readExamples(sources, kept, model, settings, notes);
    return { config, data, memory: memoryOf(config, model), step, experts: undefined, stdin: undefined };
  } catch (error) {
    model.close();
    throw error;
  }
}

const dataFiles = (paths: readonly string[]): Promise<Source<ExampleFormat>[]> =>
  findSources(paths, join(places().cache, "examples"), undefined, exampleFormats);

interface ReadSettings extends Pick<TuningConfig["data"], "trainOnPrompt" | "tooLong" | "validation"> {
  template: Template;
  /** Most tokens of an example. */
  context: number;
}

async function readExamples(
  sources: readonly Source<ExampleFormat>[],
  kept: readonly Source<ExampleFormat>[],
  model: ModelSource,
  settings: ReadSettings,
  notes: Notes,
): Promise<TuningData> {
  const tokenizer = tokenizerOf(model);
  notes.progress("reading examples");
  try {
    const onProgress = (count: number) => notes.progress(`reading examples: ${grouped(count)}`);
    const options = { tokenizer, eos: model.config.eos, ...settings, onProgress };
    const examples: ExampleSet = await openExamples(sources, options, kept);
    return { model, tokenizer, examples };
  } finally {
    notes.progress("");
  }
}

/** The experts that the examples use, found on a device of its own, which holds the model. */
async function chosenExperts(
  { model, examples }: TuningData,
  flags: FinetuneFlags,
  notes: Notes,
): Promise<RoutedExperts[] | undefined> {
  const share = expertShare(flags);
  if (share === undefined) return undefined;
  const { device } = await openDevice(flags.device, flags.threads ? { threads: flags.threads } : {});
  try {
    return await routedExperts(device, model, examples, share, (done) =>
      notes.progress(`looking where the examples go, ${Math.floor(100 * done)} %`),
    );
  } finally {
    notes.progress("");
    device.close();
  }
}

/** A path holds wherever a resume is started; the name of a stored model is the same everywhere. */
function located(model: string): string {
  return modelPath(model) === model ? resolve(model) : model;
}
