/** A training run in its folder: begun, stopped, resumed, to the end of its tokens. */
import type { LanguageTokens } from "../data/tokens.ts";
import type { Device } from "../device/device.ts";
import type { WeightSource } from "../model/weights.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { RunConfig } from "./config.ts";
import type { TrainingEvent } from "./events.ts";

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

/**
 * What a resume needs first.
 * @throws LolaError "usage" where there is no run; DataError when its files are damaged
 */
export declare function readRun(folder: string): StoredRun;

/** Steps of a whole run. */
export declare function stepsOf(config: RunConfig): number;

export declare class TrainingRun {
  readonly folder: string;
  readonly config: RunConfig;
  /** Steps of the whole run. */
  readonly steps: number;

  /**
   * Begins a run: makes the folder, with a checkpoint of step 0 and `config.json`.
   * @param folder new, empty, or one where beginning was interrupted
   * @param weights to begin with; default: random ones by seed and sigma
   * @throws LolaError "usage" if there is a run in the folder already, or another process uses it; "device" when the model
   *   does not fit; "failed" when the disk refuses
   */
  static create(
    device: Device,
    folder: string,
    config: RunConfig,
    data: RunData,
    weights?: WeightSource,
  ): Promise<TrainingRun>;

  /**
   * Goes on from the newest checkpoint, exactly: what was done after it is forgotten.
   * @throws LolaError "usage" where there is no run, or another process uses it; DataError when a file is damaged, or
   *   the data is not what the run began with ("run.data")
   */
  static resume(device: Device, folder: string, data: RunData): Promise<TrainingRun>;

  /** Steps done. */
  get step(): number;

  /**
   * Trains to the end of `recipe.tokens`, or until stopped; both with a checkpoint.
   * @throws LolaError "stopped" after three steps in a row whose gradient is not finite, naming the rows; "device", "failed".
   *   The last checkpoint stays as it is
   */
  train(options?: TrainOptions): Promise<Outcome>;

  /** Lets go of the folder; the device stays open. */
  close(): void;
}
