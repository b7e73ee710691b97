/** The folder of a run: which file is what. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { validateAdapter } from "../checkpoint/adapter.ts";
import { type ModelConfig, validateConfig } from "../checkpoint/config.ts";
import { parseTemplate } from "../data/template.ts";
import { type Method, methods, type RunConfig, type RunSettings, type TuningConfig } from "./config.ts";
import { type Optimizer, optimizers } from "./optimizer.ts";

/** Files of a run, by what they hold. */
export function runFiles(folder: string) {
  return {
    /** RunConfig. Written last when a run begins: a folder without it holds no run. */
    config: join(folder, "config.json"),
    /** Step and validation events, one a line: equal in equal runs. */
    metrics: join(folder, "metrics.jsonl"),
    /** Speed events, one a line. */
    speed: join(folder, "speed.jsonl"),
    /** Where held-out text goes, one step a line, if that is watched. */
    routing: join(folder, "routing.jsonl"),
    /** The newest state, all of it: weights, moments, place in the data. */
    last: join(folder, "checkpoints", "last.lola"),
    /** The weights that did best on held-out text. */
    best: join(folder, "checkpoints", "best.lola"),
    /** There while a process trains. */
    lock: join(folder, "lock"),
    /** Curves and tables, for people. */
    report: join(folder, "report.html"),
  };
}

/** Whether a run was begun in the folder. */
export function isRun(folder: string): boolean {
  return existsSync(runFiles(folder).config) && existsSync(runFiles(folder).last);
}

/** Saves the settings, whole or not at all. @throws LolaError "failed" when the disk refuses */
export async function writeConfig(folder: string, config: RunSettings): Promise<void> {
  const text = `${JSON.stringify(config, undefined, 2)}\n`;
  await saveFile(runFiles(folder).config, (output) => output.write(new TextEncoder().encode(text)));
}

const counts = ["shape.batch", "shape.time", "accumulate", "validateEvery", "saveEvery", "recipe.tokens"];
const rates = ["rate", "finalRate", "warmup", "decay", "beta1", "beta2", "epsilon", "weightDecay", "clip", "balance"];
const numbers = ["shape.dropout", "data.validation", "data.windows", ...rates.map((name) => `recipe.${name}`)];

/**
 * The settings of the run of `lola train` in a folder, checked.
 * @throws LolaError "usage" where there is no run, or one of another kind; DataError "run.config" naming the field
 */
export function readConfig(folder: string): RunConfig {
  return readSettings(folder, "train", ({ at, wrong }) => {
    for (const name of ["sigma", "data.alpha"])
      if (typeof at(name) !== "number") throw wrong(`${name} is ${at(name)}, no number`);
  });
}

/**
 * The settings of the run of `lola finetune` in a folder, checked.
 * @throws LolaError "usage" where there is no run, or one of another kind; DataError "run.config" naming the field, "adapter.…", "template.…"
 */
export function readTuningConfig(folder: string): TuningConfig {
  return readSettings(folder, "finetune", ({ at, wrong, model }) => {
    if (!methods.includes(at("method") as Method))
      throw wrong(`method is ${at("method")}, not ${methods.join(" or ")}`);
    if ((at("method") === "lora") !== (at("shape.adapter") !== undefined))
      throw wrong(`method is ${at("method")}, with ${at("shape.adapter") ? "an" : "no"} adapter`);
    if (at("shape.adapter") !== undefined) validateAdapter(at("shape.adapter"), model);
    if (!/^[\da-f]{64}$/.test(String(at("base.identity")))) throw wrong(`base.identity is ${at("base.identity")}`);
    parseTemplate(at("template"), `${runFiles(folder).config}: template`);
  });
}

/** What a check of settings may use: any field by its path, a complaint, and the model, which has been checked. */
interface Settings {
  at(name: string): unknown;
  wrong(what: string): DataError;
  model: ModelConfig;
}

function readSettings<S extends RunSettings>(
  folder: string,
  verb: "train" | "finetune",
  check: (settings: Settings) => void,
): S {
  const path = runFiles(folder).config;
  if (!isRun(folder)) throw new LolaError("usage", `${folder} holds no training run`, `lola ${verb} DATA -o RUN`);
  const wrong = (what: string, cause?: unknown) =>
    new DataError("run.config", `${path}: ${what}`, undefined, { cause });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw wrong((cause as Error).message, cause);
  }
  const at = (name: string): unknown =>
    name.split(".").reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
  const kind = at("method") === undefined ? "train" : "finetune";
  if (kind !== verb)
    throw new LolaError("usage", `${folder} holds a run of lola ${kind}`, `lola ${kind} --resume ${folder}`);
  for (const name of counts)
    if (!(Number.isSafeInteger(at(name)) && (at(name) as number) > 0)) throw wrong(`${name} is ${at(name)}, no count`);
  const watched = at("routingEvery");
  if (watched !== undefined && !(Number.isSafeInteger(watched) && (watched as number) > 0))
    throw wrong(`routingEvery is ${watched}, no count`);
  for (const name of numbers) if (typeof at(name) !== "number") throw wrong(`${name} is ${at(name)}, no number`);
  if (!/^\d{1,20}$/.test(String(at("seed")))) throw wrong(`seed is ${at("seed")}, no number`);
  const optimizer = (at("recipe.optimizer") ?? "adamw") as Optimizer;
  if (!optimizers.includes(optimizer)) throw wrong(`recipe.optimizer is ${optimizer}, not ${optimizers.join(" or ")}`);
  const model: ModelConfig = validateConfig(at("model"));
  check({ at, wrong, model });
  const { recipe, ...rest } = value as S;
  return { ...rest, recipe: { ...recipe, optimizer }, model } as S;
}
