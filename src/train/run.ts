/** A training run in its folder: from text, begun or gone on with. */
import { existsSync } from "node:fs";
import { removeLeftovers } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { sha256, xxh64 } from "../base/hash.ts";
import { version } from "../base/version.ts";
import { saveLola } from "../checkpoint/lola-file.ts";
import type { Provenance } from "../checkpoint/source.ts";
import { type Batch, Batches, type Cursor } from "../data/batches.ts";
import { languageProbabilities } from "../data/sampling.ts";
import type { LanguageTokens } from "../data/tokens.ts";
import { validationWindows } from "../data/validation.ts";
import type { Device } from "../device/device.ts";
import { initialWeights } from "../model/init.ts";
import type { WeightSource } from "../model/weights.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { openCheckpoint, type RunState, saveCheckpoint } from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import { type MicroBatch, TrainingEngine } from "./engine.ts";
import { isRun, readConfig, runFiles, writeConfig } from "./folder.ts";
import { checkSizes, holding, Loop, sameModel, stepsOf, tokensOfStep } from "./loop.ts";
import { initialScaling } from "./loss-scale.ts";
import { type ValidationRow, windowRow } from "./validation.ts";

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

export class TrainingRun extends Loop<Cursor, RunConfig> {
  protected readonly names: readonly string[];
  protected readonly rows: readonly ValidationRow[];
  private readonly batches: Batches;
  /** [rows] languages of the step's rows. */
  private drawn: number[] = [];

  private constructor(
    folder: string,
    config: RunConfig,
    device: Device,
    private readonly data: RunData,
    state: RunState,
    weights: WeightSource,
    moments: { m: WeightSource; v: WeightSource } | undefined,
    unlock: () => void,
  ) {
    const { model, recipe, shape } = config;
    const seed = BigInt(config.seed);
    const engine = new TrainingEngine(device, model, recipe, shape, seed);
    engine.load("weights", weights);
    if (moments) for (const moment of ["m", "v"] as const) engine.load(moment, moments[moment]);
    super(folder, config, engine, state, moments ? state.step : -1, unlock);
    const { alpha, cap } = config.data;
    const { languages, tokenizer } = data;
    this.names = languages.map(({ language }) => language);
    this.rows = validationWindows(languages, tokenizer, model.eos, shape.time, config.data.windows).map(windowRow);
    this.batches = new Batches({
      streams: languages.map(({ train }) => train.ids),
      probabilities: languageProbabilities(
        languages.map(({ train }) => train.bytes),
        alpha,
        cap,
      ),
      ...{ batch: shape.batch, context: shape.time, seed, cursor: state.cursor },
    });
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

  protected get cursor(): Cursor {
    return this.batches.cursor;
  }

  protected draw(): MicroBatch {
    const { config, batches } = this;
    const batch = batches.next();
    this.drawn = [...this.drawn, ...batch.languages].slice(-config.accumulate * config.shape.batch);
    return microBatch(batch, config.shape.time);
  }

  protected get place(): string {
    const { rows } = this.state.cursor;
    const used = new Set(this.drawn.map((i) => this.names[i]!));
    return `rows ${rows - this.drawn.length} to ${rows - 1} (${[...used].join(", ")})`;
  }

  protected async saveState(path: string): Promise<void> {
    const { state, engine, data, provenance } = this;
    await saveCheckpoint(path, engine, { tokenizer: data.tokenizer.data, provenance, state });
  }

  protected async saveBest(path: string): Promise<void> {
    const { config, data, provenance, engine } = this;
    const contents = { config: config.model, tokenizer: data.tokenizer.data, provenance };
    await saveLola(path, { ...contents, tensors: engine.stored("weights") });
  }

  private get provenance(): Provenance {
    const { names, state, config } = this;
    const tokens = (state.step * tokensOfStep(config)).toLocaleString("en");
    const from = `text in ${names.length} ${names.length === 1 ? "language" : "languages"}, ${tokens} tokens`;
    return { made: "train", from, version, notes: [] };
  }
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
