/** The steps of a run, whatever it trains: batches, validations, checkpoints, until the end of its tokens or a signal. */
import { mkdirSync } from "node:fs";
import { LolaError } from "../base/errors.ts";
import { JsonLog } from "../base/log.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { RunState } from "./checkpoint.ts";
import type { RunSettings } from "./config.ts";
import type { MicroBatch, StepResult, TrainingEngine } from "./engine.ts";
import type { StepEvent, TrainingEvent } from "./events.ts";
import { runFiles } from "./folder.ts";
import { takeLock } from "./lock.ts";
import { isLeast, nextScaling } from "./loss-scale.ts";
import { learningRate } from "./optimizer.ts";
import { RoutingWatch } from "./routing-watch.ts";
import { Stopwatch } from "./stopwatch.ts";
import { type Validation, type ValidationRow, validate } from "./validation.ts";

export interface TrainOptions {
  /** Aborted: the running step is finished, a checkpoint saved, and `train` returns "stopped". */
  signal?: AbortSignal;
  onEvent?(event: TrainingEvent): void;
}

export interface Outcome {
  /** Early: validations in a row got no better; stopped: by the signal, with steps left. */
  end: "done" | "early" | "stopped";
  /** Steps done, and how many of them changed nothing since their gradient was not finite. */
  step: number;
  skipped: number;
}

/** Steps in a row without a finite gradient that end a run. */
const mostBad = 3;

/** Tokens of one step. */
export function tokensOfStep({ shape, accumulate }: Pick<RunSettings, "shape" | "accumulate">): number {
  return accumulate * shape.batch * shape.time;
}

/** Steps of a whole run. */
export function stepsOf(settings: Pick<RunSettings, "shape" | "accumulate" | "recipe">): number {
  return Math.ceil(settings.recipe.tokens / tokensOfStep(settings));
}

/** @typeParam C where a run stands in its data; JSON */
export abstract class Loop<C, S extends RunSettings = RunSettings> {
  /** Steps of the whole run. */
  readonly steps: number;
  /** Languages of the data. */
  protected abstract readonly names: readonly string[];
  /** What it is measured on. */
  protected abstract readonly rows: readonly ValidationRow[];
  private readonly metrics: JsonLog;
  private readonly speed: JsonLog;
  private readonly watch?: RoutingWatch;
  private wanted = false;

  /**
   * @param saved step of the checkpoint on the disk; -1: there is none
   * @param unlock lets go of the folder
   */
  protected constructor(
    readonly folder: string,
    readonly config: S,
    readonly engine: TrainingEngine,
    protected readonly state: RunState<C>,
    private saved: number,
    private readonly unlock: () => void,
  ) {
    this.steps = stepsOf(config);
    const files = runFiles(folder);
    this.metrics = JsonLog.open(files.metrics, state.metrics);
    this.speed = JsonLog.open(files.speed);
    if (config.routingEvery) this.watch = new RoutingWatch(files.routing, config.routingEvery, state.step);
  }

  /** The next micro-batch. */
  protected abstract draw(): MicroBatch;
  /** Where the next one begins. */
  protected abstract get cursor(): C;
  /** The place of the last step's micro-batches in the data, for messages: "rows 8 to 15". */
  protected abstract get place(): string;
  /** Writes the state to a file, whole or not at all. */
  protected abstract saveState(path: string): Promise<void>;
  /** Writes what is trained to a file for use, whole or not at all. */
  protected abstract saveBest(path: string): Promise<void>;

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
    const { config, state } = this;
    const stopwatch = new Stopwatch(tokensOfStep(config), (event) => {
      this.speed.add(event);
      onEvent(event);
    });
    const stopped = () => signal?.aborted ?? false;
    for (;;) {
      const { step } = state;
      const due = (every: number) => step % every === 0 || this.end !== undefined;
      if ((state.validated < step || this.unmeasured) && due(config.validateEvery))
        await this.validate(stopped, onEvent);
      if (this.watch?.due(step, this.end !== undefined))
        await this.watch.look(this.engine, this.rows, this.names, step, stopped);
      if (this.saved < step && (due(config.saveEvery) || stopped() || this.wanted)) await this.save(onEvent);
      const over = this.end !== undefined || stopped();
      stopwatch.lap(step, over);
      if (over) break;
      await this.advance(onEvent);
    }
    return { end: this.end ?? "stopped", step: state.step, skipped: state.skipped };
  }

  /** Asks for a checkpoint after the running step. */
  saveSoon(): void {
    this.wanted = true;
  }

  /** Lets go of the folder; the device stays open. */
  close(): void {
    this.metrics.close();
    this.speed.close();
    this.watch?.close();
    this.unlock();
  }

  /** Saves the state; the metrics that it counts are on the medium before it. */
  protected async save(onEvent: (event: TrainingEvent) => void): Promise<void> {
    const { state, metrics } = this;
    metrics.sync();
    state.metrics = metrics.length;
    if (this.rows.length === 0 && this.config.baseline) await this.saveBest(runFiles(this.folder).best);
    await this.saveState(runFiles(this.folder).last);
    this.saved = state.step;
    this.wanted = false;
    onEvent({ event: "save", step: state.step, best: false });
  }

  /** Has it come to its end? */
  private get end(): "done" | "early" | undefined {
    const { config, state, steps } = this;
    if (state.step >= steps) return "done";
    return config.patience && (state.worse ?? 0) >= config.patience ? "early" : undefined;
  }

  /** Is it still to be told how good the model is before the first step? */
  private get unmeasured(): boolean {
    return this.config.baseline === true && this.state.step === 0 && this.metrics.length === 0;
  }

  /** One step. */
  private async advance(onEvent: (event: TrainingEvent) => void): Promise<void> {
    const { config, state, engine } = this;
    const step = state.step + 1;
    const tokens = step * tokensOfStep(config);
    const rate = learningRate(config.recipe, tokens);
    const drawn = Array.from({ length: config.accumulate }, () => this.draw());
    const result = await engine.step(drawn, step, rate, {
      updates: step - state.skipped,
      ...(state.scaling && { lossScale: state.scaling.scale }),
    });
    const event = stepEvent(step, tokens, rate, result, state, config.model);
    this.metrics.add(event);
    state.step = step;
    state.cursor = this.cursor;
    const overflowed = result.bad > 0;
    // An overflow at a loss scale that can still fall is no fault of the run.
    const hopeless = overflowed && (!state.scaling || isLeast(state.scaling));
    state.bad = hopeless ? state.bad + 1 : 0;
    if (overflowed) state.skipped++;
    if (state.scaling) state.scaling = nextScaling(state.scaling, overflowed);
    onEvent(event);
    if (state.bad >= mostBad) throw this.endless(result);
  }

  private async validate(stopped: () => boolean, onEvent: (event: TrainingEvent) => void): Promise<void> {
    const { config, state, rows } = this;
    const { step } = state;
    if (rows.length > 0) {
      const found = await this.measure(stopped);
      if (!found) return;
      const event = { event: "validation", step, tokens: step * tokensOfStep(config), ...found } as const;
      this.metrics.add(event);
      onEvent(event);
      const better = Number.isFinite(found.bitsPerByte) && found.bitsPerByte < (state.best ?? Number.POSITIVE_INFINITY);
      if (config.patience) state.worse = better ? 0 : (state.worse ?? 0) + 1;
      if (better) {
        state.best = found.bitsPerByte;
        await this.saveBest(runFiles(this.folder).best);
        onEvent({ event: "save", step, best: true });
      }
      this.measured();
    }
    state.validated = step;
  }

  /** Measures what there is now; undefined if it was stopped. */
  protected measure(stopped: () => boolean): Promise<Validation | undefined> {
    return validate(this.engine, this.rows, this.names, stopped);
  }

  /** Puts right what `measure` has changed, once it was saved. */
  protected measured(): void {}

  /** Why a run cannot go on by itself. */
  private endless({ bad }: StepResult): LolaError {
    const { state, folder, saved, place } = this;
    return new LolaError(
      "stopped",
      `${mostBad} steps in a row gave a gradient that is not finite; in step ${state.step}, ${bad} elements of it, from ${place}`,
      `a lower --lr in a new run; ${folder} still holds step ${saved}`,
    );
  }
}

/** Does something while the folder is locked, and lets go if it fails. */
export async function holding<T>(folder: string, action: (unlock: () => void) => Promise<T>): Promise<T> {
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
export function checkSizes({ model, shape }: RunSettings, { size }: { size: number }): void {
  if (shape.time > model.context)
    throw new LolaError("usage", `rows of ${shape.time} tokens, the model's context is ${model.context}`);
  if (size > model.vocabulary)
    throw new LolaError("usage", `the tokenizer has ${size} tokens, the model ${model.vocabulary}`);
}

export function sameModel(a: ModelConfig, b: ModelConfig): boolean {
  return (Object.keys(a) as (keyof ModelConfig)[]).every((name) => a[name] === b[name]);
}

function stepEvent(
  step: number,
  tokens: number,
  rate: number,
  result: StepResult,
  { scaling }: Pick<RunState, "scaling">,
  model: ModelConfig,
): StepEvent {
  const { loss, aux, norm, bad, load } = result;
  const loads = moeLayers(model).map((_, i) => load.subarray(i * model.experts, (i + 1) * model.experts));
  const entropy = loads.map((shares) => -shares.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0));
  const share = loads.map((shares) => Math.max(...shares));
  const scaled = scaling && { lossScale: scaling.scale };
  return { event: "step", step, tokens, loss, aux, norm, rate, entropy, share, bad, ...scaled };
}
