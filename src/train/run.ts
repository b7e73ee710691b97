/** A training run in its folder: begun, stopped, resumed, to the end of its tokens. */
import { existsSync, mkdirSync } from "node:fs";
import { removeLeftovers } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { sha256, xxh64 } from "../base/hash.ts";
import { version } from "../base/version.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import { saveLola } from "../checkpoint/lola-file.ts";
import type { Provenance } from "../checkpoint/source.ts";
import { type Batch, Batches } from "../data/batches.ts";
import { languageProbabilities } from "../data/sampling.ts";
import type { LanguageTokens } from "../data/tokens.ts";
import { type ValidationWindow, validationWindows } from "../data/validation.ts";
import type { Device } from "../device/device.ts";
import { initialWeights } from "../model/init.ts";
import type { WeightSource } from "../model/weights.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { openCheckpoint, type RunState, saveCheckpoint } from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import { type MicroBatch, type StepResult, TrainingEngine } from "./engine.ts";
import type { StepEvent, TrainingEvent } from "./events.ts";
import { isRun, readConfig, runFiles, writeConfig } from "./folder.ts";
import { takeLock } from "./lock.ts";
import { JsonLog } from "./log.ts";
import { initialScaling, isLeast, nextScaling } from "./loss-scale.ts";
import { learningRate } from "./optimizer.ts";
import { Stopwatch } from "./stopwatch.ts";
import { validate } from "./validation.ts";

/** What a run learns from. */
export interface RunData {
  /** The one that made the tokens; kept in every checkpoint. */
  tokenizer: Tokenizer;
  /** As `openTokens` gives them: sorted by name. */
  languages: readonly LanguageTokens[];
}

/** What must be known of a run before its data and device can be opened. */
export interface StoredRun {
  config: RunConfig;
  /** Of its newest checkpoint. */
  tokenizer: Tokenizer;
  /** Steps done, of how many. */
  step: number;
  steps: number;
}

export interface TrainOptions {
  /** Aborted: the running step is finished, a checkpoint saved, and `train` returns "stopped". */
  signal?: AbortSignal;
  onEvent?(event: TrainingEvent): void;
}

export interface Outcome {
  /** Stopped: by the signal, with steps left. */
  end: "done" | "stopped";
  /** Steps done, and how many of them changed nothing since their gradient was not finite. */
  step: number;
  skipped: number;
}

/** Steps in a row without a finite gradient that end a run. */
const mostBad = 3;

/**
 * What a resume needs first.
 * @throws LolaError "usage" where there is no run; DataError when its files are damaged
 */
export function readRun(folder: string): StoredRun {
  const config = readConfig(folder);
  const checkpoint = openCheckpoint(runFiles(folder).last);
  checkpoint.close();
  const tokenizer = new Tokenizer(checkpoint.tokenizer);
  return { config, tokenizer, step: checkpoint.state.step, steps: stepsOf(config) };
}

/** Tokens of one step. */
export function tokensOfStep({ shape, accumulate }: Pick<RunConfig, "shape" | "accumulate">): number {
  return accumulate * shape.batch * shape.time;
}

/** Steps of a whole run. */
export function stepsOf(config: RunConfig): number {
  return Math.ceil(config.recipe.tokens / tokensOfStep(config));
}

export class TrainingRun {
  /** Steps of the whole run. */
  readonly steps: number;
  readonly engine: TrainingEngine;
  private readonly names: readonly string[];
  private readonly windows: readonly ValidationWindow[];
  private readonly batches: Batches;
  private readonly metrics: JsonLog;
  private readonly speed: JsonLog;
  /** Step of the checkpoint on the disk. */
  private saved: number;
  private wanted = false;

  private constructor(
    readonly folder: string,
    readonly config: RunConfig,
    device: Device,
    private readonly data: RunData,
    private readonly state: RunState,
    weights: WeightSource,
    moments: { m: WeightSource; v: WeightSource } | undefined,
    private readonly unlock: () => void,
  ) {
    const { model, recipe, shape } = config;
    const { alpha, cap } = config.data;
    const { languages, tokenizer } = data;
    const seed = BigInt(config.seed);
    this.steps = stepsOf(config);
    this.names = languages.map(({ language }) => language);
    this.windows = validationWindows(languages, tokenizer, model.eos, shape.time, config.data.windows);
    this.batches = new Batches({
      streams: languages.map(({ train }) => train.ids),
      probabilities: languageProbabilities(
        languages.map(({ train }) => train.bytes),
        alpha,
        cap,
      ),
      ...{ batch: shape.batch, context: shape.time, seed, cursor: state.cursor },
    });
    this.engine = new TrainingEngine(device, model, recipe, shape, seed);
    this.engine.load("weights", weights);
    if (moments) for (const moment of ["m", "v"] as const) this.engine.load(moment, moments[moment]);
    const files = runFiles(folder);
    this.metrics = JsonLog.open(files.metrics, state.metrics);
    this.speed = JsonLog.open(files.speed);
    this.saved = moments ? state.step : -1;
  }

  /**
   * Begins a run: makes the folder, with a checkpoint of step 0 and `config.json`.
   * @param folder new, or one without a run
   * @param weights to begin with; default: random ones by seed and sigma
   * @throws LolaError "usage" if there is a run in the folder already, or another process uses it; "device" when the model
   *   does not fit; "failed" when the disk refuses
   */
  static async create(
    device: Device,
    folder: string,
    config: RunConfig,
    data: RunData,
    weights?: WeightSource,
  ): Promise<TrainingRun> {
    return holding(folder, async (unlock) => {
      if (isRun(folder)) {
        const hint = `lola train --resume ${folder}, or another folder`;
        throw new LolaError("usage", `${folder} holds a training run already`, hint);
      }
      const { model, sigma, seed } = config;
      if (existsSync(runFiles(folder).config))
        throw new LolaError("usage", `${folder} has a config.json that is not a run's`, "another folder");
      checkSizes(config, data.tokenizer);
      const state: RunState = {
        ...{ step: 0, validated: 0, skipped: 0, bad: 0, best: undefined, metrics: 0 },
        cursor: { rows: 0, windows: data.languages.map(() => 0) },
        data: fingerprint(data.languages),
        ...(config.device.precision === "f16" && { scaling: initialScaling }),
      };
      const start = weights ?? initialWeights(model, BigInt(seed), sigma);
      const run = new TrainingRun(folder, config, device, data, state, start, undefined, unlock);
      await run.save(() => {});
      await writeConfig(folder, config);
      return run;
    });
  }

  /**
   * Goes on from the newest checkpoint, exactly: what was done after it is forgotten.
   * @throws LolaError "usage" where there is no run, or another process uses it; DataError when a file is damaged, or
   *   the data is not what the run began with ("run.data")
   */
  static async resume(device: Device, folder: string, data: RunData): Promise<TrainingRun> {
    const config = readConfig(folder);
    return holding(folder, async (unlock) => {
      const files = runFiles(folder);
      for (const path of [files.last, files.best, files.config]) removeLeftovers(path);
      const { state, weights, m, v, close, ...checkpoint } = openCheckpoint(files.last);
      try {
        if (!sameModel(checkpoint.config, config.model))
          throw new DataError("run.config", `${files.config} is of another model than ${files.last}`);
        if (state.data !== fingerprint(data.languages)) {
          const hint = "the files as they were, or a new run from this one's weights: lola train DATA -m RUN";
          throw new DataError("run.data", `the data is not what ${folder} began with`, hint);
        }
        return new TrainingRun(folder, config, device, data, state, weights, { m, v }, unlock);
      } finally {
        close();
      }
    });
  }

  /** Steps done. */
  get step(): number {
    return this.state.step;
  }

  /**
   * Trains to the end of `recipe.tokens`, or until stopped; both with a checkpoint.
   * @throws LolaError "stopped" after three steps in a row whose gradient is not finite, naming the rows; "device", "failed".
   *   The last checkpoint stays as it is
   */
  async train({ signal, onEvent = () => {} }: TrainOptions = {}): Promise<Outcome> {
    const { config, state, steps } = this;
    const stopwatch = new Stopwatch(tokensOfStep(config), (event) => {
      this.speed.add(event);
      onEvent(event);
    });
    const stopped = () => signal?.aborted ?? false;
    for (;;) {
      const { step } = state;
      const over = step >= steps;
      const due = (every: number) => step % every === 0 || over;
      if (state.validated < step && due(config.validateEvery)) await this.validate(stopped, onEvent);
      if (this.saved < step && (due(config.saveEvery) || stopped() || this.wanted)) await this.save(onEvent);
      stopwatch.lap(step, over || stopped());
      if (over || stopped()) break;
      await this.advance(onEvent);
    }
    return { end: state.step >= steps ? "done" : "stopped", step: state.step, skipped: state.skipped };
  }

  /** Asks for a checkpoint after the running step. */
  saveSoon(): void {
    this.wanted = true;
  }

  /** Lets go of the folder; the device stays open. */
  close(): void {
    this.metrics.close();
    this.speed.close();
    this.unlock();
  }

  /** One step. */
  private async advance(onEvent: (event: TrainingEvent) => void): Promise<void> {
    const { config, state, batches, engine } = this;
    const step = state.step + 1;
    const tokens = step * tokensOfStep(config);
    const rate = learningRate(config.recipe, tokens);
    const drawn = Array.from({ length: config.accumulate }, () => batches.next());
    const result = await engine.step(
      drawn.map((batch) => microBatch(batch, config.shape.time)),
      step,
      rate,
      { updates: step - state.skipped, ...(state.scaling && { lossScale: state.scaling.scale }) },
    );
    const event = stepEvent(step, tokens, rate, result, state, config.model);
    this.metrics.add(event);
    state.step = step;
    state.cursor = batches.cursor;
    const overflowed = result.bad > 0;
    // An overflow at a loss scale that can still fall is no fault of the run.
    const hopeless = overflowed && (!state.scaling || isLeast(state.scaling));
    state.bad = hopeless ? state.bad + 1 : 0;
    if (overflowed) state.skipped++;
    if (state.scaling) state.scaling = nextScaling(state.scaling, overflowed);
    onEvent(event);
    if (state.bad >= mostBad) throw this.endless(drawn, result);
  }

  private async validate(stopped: () => boolean, onEvent: (event: TrainingEvent) => void): Promise<void> {
    const { config, state, windows } = this;
    const { step } = state;
    if (windows.length > 0) {
      const found = await validate(this.engine, windows, this.names, stopped);
      if (!found) return;
      const event = { event: "validation", step, tokens: step * tokensOfStep(config), ...found } as const;
      this.metrics.add(event);
      onEvent(event);
      if (Number.isFinite(found.bitsPerByte) && found.bitsPerByte < (state.best ?? Number.POSITIVE_INFINITY)) {
        state.best = found.bitsPerByte;
        const { model } = config;
        const contents = { config: model, tokenizer: this.data.tokenizer.data, provenance: this.provenance };
        await saveLola(runFiles(this.folder).best, { ...contents, tensors: this.engine.stored("weights") });
        onEvent({ event: "save", step, best: true });
      }
    }
    state.validated = step;
  }

  /** Saves the state; the metrics that it counts are on the medium before it. */
  private async save(onEvent: (event: TrainingEvent) => void): Promise<void> {
    const { state, metrics, data } = this;
    metrics.sync();
    state.metrics = metrics.length;
    const contents = { tokenizer: data.tokenizer.data, provenance: this.provenance, state };
    await saveCheckpoint(runFiles(this.folder).last, this.engine, contents);
    this.saved = state.step;
    this.wanted = false;
    onEvent({ event: "save", step: state.step, best: false });
  }

  private get provenance(): Provenance {
    const { names, state, config } = this;
    const tokens = (state.step * tokensOfStep(config)).toLocaleString("en");
    const from = `text in ${names.length} ${names.length === 1 ? "language" : "languages"}, ${tokens} tokens`;
    return { made: "train", from, version, notes: [] };
  }

  /** Why a run cannot go on by itself. */
  private endless(drawn: readonly Batch[], { bad }: StepResult): LolaError {
    const { state, folder, saved } = this;
    const rows = state.cursor.rows;
    const count = drawn.reduce((sum, { languages }) => sum + languages.length, 0);
    const used = new Set(drawn.flatMap(({ languages }) => Array.from(languages, (i) => this.names[i]!)));
    return new LolaError(
      "stopped",
      `${mostBad} steps in a row gave a gradient that is not finite; in step ${state.step}, ${bad} elements of it, ` +
        `from rows ${rows - count} to ${rows - 1} (${[...used].join(", ")})`,
      `a lower --lr in a new run; ${folder} still holds step ${saved}`,
    );
  }
}

/** Does something while the folder is locked, and lets go if it fails. */
async function holding<T>(folder: string, action: (unlock: () => void) => Promise<T>): Promise<T> {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new LolaError("failed", `cannot make ${folder}: ${code}`, "another folder", { cause });
  }
  const unlock = takeLock(runFiles(folder).lock);
  try {
    return await action(unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

/** @throws LolaError "usage" where model, tokenizer and rows do not fit each other */
function checkSizes({ model, shape }: RunConfig, tokenizer: Tokenizer): void {
  if (shape.time > model.context)
    throw new LolaError("usage", `rows of ${shape.time} tokens, the model's context is ${model.context}`);
  if (tokenizer.size > model.vocabulary)
    throw new LolaError("usage", `the tokenizer has ${tokenizer.size} tokens, the model ${model.vocabulary}`);
}

function sameModel(a: ModelConfig, b: ModelConfig): boolean {
  return (Object.keys(a) as (keyof ModelConfig)[]).every((name) => a[name] === b[name]);
}

/** Tells one corpus in tokens from another: languages, lengths, and how each begins. */
function fingerprint(languages: readonly LanguageTokens[]): string {
  const beginning = ({ buffer, byteOffset, byteLength }: Uint16Array | Uint32Array) =>
    xxh64(new Uint8Array(buffer, byteOffset, Math.min(byteLength, 1 << 20)));
  const rows = languages.map(({ language, train, validation }) => [
    ...[language, train.ids.length, validation.ids.length, beginning(train.ids), beginning(validation.ids)],
  ]);
  return sha256(JSON.stringify(rows));
}

/** Rows [B, T + 1] → what the model reads, and what it should say. */
function microBatch({ tokens, languages }: Batch, time: number): MicroBatch {
  const inputs = new Uint32Array(languages.length * time);
  const targets = new Uint32Array(languages.length * time);
  for (let row = 0; row < languages.length; row++) {
    const at = row * (time + 1);
    inputs.set(tokens.subarray(at, at + time), row * time);
    targets.set(tokens.subarray(at + 1, at + 1 + time), row * time);
  }
  return { inputs, targets };
}

function stepEvent(
  step: number,
  tokens: number,
  rate: number,
  result: StepResult,
  { scaling }: RunState,
  model: ModelConfig,
): StepEvent {
  const { loss, aux, norm, bad, load } = result;
  const loads = moeLayers(model).map((_, i) => load.subarray(i * model.experts, (i + 1) * model.experts));
  const entropy = loads.map((shares) => -shares.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0));
  const share = loads.map((shares) => Math.max(...shares));
  const scaled = scaling && { lossScale: scaling.scale };
  return { event: "step", step, tokens, loss, aux, norm, rate, entropy, share, bad, ...scaled };
}
