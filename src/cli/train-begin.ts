/** Where `lola train` begins: flags, data and model → settings and tokens; of a new run, or of one that goes on. */
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { LolaError } from "../base/errors.ts";
import { isQuantType } from "../base/quant.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Device } from "../device/device.ts";
import { openSource } from "../model/open.ts";
import type { RunConfig } from "../train/config.ts";
import { isRun, runFiles } from "../train/folder.ts";
import { type RunData, readRun } from "../train/run.ts";
import { type KeptStdin, keptPaths, keptStdin } from "./kept-stdin.ts";
import type { Notes } from "./streams.ts";
import { chooseTokenizer, dataFiles, dataTokens } from "./train-data.ts";
import type { TrainFlags } from "./train-flags.ts";
import { checkFlags, deviceOf, refuseChanges, resolveSettings } from "./train-settings.ts";

/** All that a run needs but a device. */
export interface Beginning {
  /** Undefined: nothing will be trained. */
  folder: string | undefined;
  config: RunConfig;
  data: RunData;
  /** Steps done. */
  step: number;
  /** Weights to begin with. */
  model: ModelSource | undefined;
  /** To be put into the folder of the run. */
  stdin: KeptStdin | undefined;
}

/**
 * A new run.
 * @param folder undefined: nothing will be trained
 * @throws LolaError, DataError
 */
export async function beginning(
  paths: readonly string[],
  folder: string | undefined,
  flags: TrainFlags,
  { info }: Device,
  notes: Notes,
): Promise<Beginning> {
  checkFlags(flags);
  const model = flags.model === undefined ? undefined : trainable(flags.model);
  const sources = await dataFiles(paths);
  const tokenizer = await chooseTokenizer(flags, sources, model, notes);
  const stdin = keptStdin(sources, folder);
  const basis = {
    tokenizer,
    model: model?.config,
    device: deviceOf(info, flags),
    paths: keptPaths(paths, stdin),
  };
  // The size of the data is known only when it is in tokens, and only the length of the run depends on it.
  const { eos } = resolveSettings(flags, { ...basis, languages: 1, tokens: 1 }).model;
  const languages = await dataTokens(sources, tokenizer, eos, flags.validation, notes);
  const tokens = languages.reduce((sum, { train }) => sum + train.ids.length, 0);
  const config = resolveSettings(flags, { ...basis, languages: languages.length, tokens });
  return { folder, config, data: { tokenizer, languages }, step: 0, model, stdin };
}

/**
 * A run that goes on.
 * @param paths where its data is now; none: where it was
 * @throws LolaError "usage" where a flag says something else than the run
 */
export async function resumption(
  folder: string,
  paths: readonly string[],
  given: readonly (keyof TrainFlags)[],
  flags: TrainFlags,
  notes: Notes,
): Promise<Beginning> {
  const { config, tokenizer, step } = readRun(folder);
  refuseChanges(flags, given, config);
  const sources = await dataFiles(paths.length > 0 ? paths : config.data.paths);
  const languages = await dataTokens(sources, tokenizer, config.model.eos, config.data.validation, notes);
  return { folder, config, data: { tokenizer, languages }, step, model: undefined, stdin: undefined };
}

/** A model to begin with. @throws LolaError "usage" for a quantized one */
function trainable(name: string): ModelSource {
  const model = openSource(name);
  const quantized = [...model.tensors.values()].find(({ type }) => isQuantType(type));
  if (!quantized) return model;
  model.close();
  throw new LolaError(
    "usage",
    `${name} is quantized (${quantized.name} is ${quantized.type}): steps smaller than its grid would be lost`,
    "train from the model that it was made from",
  );
}

/**
 * May a run begin in this folder?
 * @param verb that asks
 * @throws LolaError "usage" where there is a run, or files that are none of a run's
 */
export function checkFolder(folder: string, verb: "train" | "finetune" = "train"): void {
  if (isRun(folder))
    throw new LolaError(
      "usage",
      `${folder} holds a training run already`,
      `lola ${verb} --resume ${folder}, or another folder`,
    );
  const own = [...Object.values(runFiles(folder)).map((path) => basename(path)), "checkpoints"];
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") throw new LolaError("usage", `${folder} is a file`, "another name");
    if (code !== "ENOENT") throw error;
  }
  // What a beginning that was interrupted has left does no harm.
  const foreign = names.find((name) => !name.startsWith(".") && !own.includes(name));
  if (foreign !== undefined)
    throw new LolaError("usage", `${folder} is not empty: it holds ${foreign}`, "another folder");
}
