/** A run that adapts a model to examples, in its folder: begun, stopped, resumed, to the end of its tokens. */
import { existsSync } from "node:fs";
import { removeLeftovers } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { type AdapterBase, saveAdapter } from "../checkpoint/adapter-file.ts";
import { moeLayers } from "../checkpoint/config.ts";
import { asCount, asMap } from "../checkpoint/fields.ts";
import { saveLola } from "../checkpoint/lola-file.ts";
import type { ModelSource, Provenance } from "../checkpoint/source.ts";
import { ExampleBatches, type ExampleCursor } from "../data/example-batches.ts";
import { exampleValidationRows } from "../data/example-validation.ts";
import type { ExampleSet } from "../data/examples.ts";
import type { Device } from "../device/device.ts";
import { initialAdapter } from "../model/adapter.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type RunState, readState } from "./checkpoint.ts";
import type { TuningConfig } from "./config.ts";
import { type MicroBatch, TrainingEngine } from "./engine.ts";
import { isRun, readTuningConfig, runFiles, writeConfig } from "./folder.ts";
import { checkSizes, holding, Loop, sameModel, stepsOf, tokensOfStep } from "./loop.ts";
import { initialScaling } from "./loss-scale.ts";
import type { Base } from "./parameters.ts";
import { Scaled, temper } from "./strength.ts";
import { openTuning, saveTuning, type Tuning, type TuningMeta, tunedTensors } from "./tuning.ts";
import { type Validation, type ValidationRow, validate } from "./validation.ts";

/** What a run adapts, and to what. */
export interface TuningData {
  /** Must stay open. */
  model: ModelSource;
  /** The model's. */
  tokenizer: Tokenizer;
  examples: ExampleSet;
}

/** What must be known of a run before its data and device can be opened. */
export interface StoredTuning {
  config: TuningConfig;
  /** Steps done, of how many. */
  step: number;
  steps: number;
}

type State = RunState<ExampleCursor>;

/**
 * What a resume needs first.
 * @throws LolaError "usage" where there is no such run; DataError when its files are damaged
 */
export function readTuningRun(folder: string): StoredTuning {
  const config = readTuningConfig(folder);
  const file = openTuning(runFiles(folder).last);
  file.close();
  return { config, step: stateOf(file).step, steps: stepsOf(config) };
}

/** What is trained of a model, and in what types the rest is kept. */
export function trainedPart(
  { method, experts }: Pick<TuningConfig, "method" | "experts">,
  model: Pick<ModelSource, "config" | "tensors">,
): Base {
  const layers = moeLayers(model.config);
  const chosen = new Set(
    (experts ?? []).flatMap((list, i) => list.map((expert) => `h.${layers[i]}.moe.experts.${expert}.`)),
  );
  const ofChosen = (name: string) => chosen.has(/^h\.\d+\.moe\.experts\.\d+\./.exec(name)?.[0] ?? "");
  return {
    typeOf: (name) => model.tensors.get(name)!.type,
    trains: { lora: () => false, full: () => true, experts: ofChosen }[method],
  };
}

export class TuningRun extends Loop<ExampleCursor, TuningConfig> {
  protected readonly names: readonly string[];
  protected readonly rows: readonly ValidationRow[];
  private readonly batches: ExampleBatches;
  /** Languages that the model is only to stay good at. */
  private readonly kept: ReadonlySet<string>;
  /** What was measured of the model as it began. */
  private before: Validation | undefined;
  /** What is trained, while an engine holds less of it. */
  private scaled: Scaled | undefined;

  private constructor(
    folder: string,
    config: TuningConfig,
    device: Device,
    private readonly data: TuningData,
    state: State,
    stored: Tuning | undefined,
    unlock: () => void,
  ) {
    const { model, recipe, shape } = config;
    const seed = BigInt(config.seed);
    const engine = new TrainingEngine(device, model, recipe, shape, seed, trainedPart(config, data.model));
    engine.loadBase(data.model);
    if (stored) for (const what of ["weights", "m", "v"] as const) engine.load(what, stored[what]);
    else if (shape.adapter) engine.load("weights", initialAdapter(model, shape.adapter, seed));
    super(folder, config, engine, state, stored ? state.step : -1, unlock);
    const { examples, tokenizer } = data;
    this.names = examples.summary.languages.map(({ language }) => language);
    this.kept = new Set(examples.summary.languages.flatMap(({ language, kept }) => (kept ? [language] : [])));
    this.rows = exampleValidationRows(examples, tokenizer, model.eos, shape.time, config.data.windows);
    this.batches = new ExampleBatches({
      ...{ tokens: examples.tokens, examples: examples.train, eos: model.eos },
      ...{ batch: shape.batch, context: shape.time, seed, cursor: state.cursor },
    });
  }

  /**
   * Begins a run: makes the folder, with a checkpoint of step 0 and `config.json`.
   * @param folder new, or one without a run
   * @throws LolaError "usage" if there is a run in the folder already, or another process uses it; "device" when the model
   *   does not fit; "failed" when the disk refuses
   */
  static async create(device: Device, folder: string, config: TuningConfig, data: TuningData): Promise<TuningRun> {
    return holding(folder, async (unlock) => {
      if (isRun(folder))
        throw new LolaError("usage", `${folder} holds a training run already`, "--resume, or another folder");
      if (existsSync(runFiles(folder).config))
        throw new LolaError("usage", `${folder} has a config.json that is not a run's`, "another folder");
      checkSizes(config, data.tokenizer);
      const state: State = {
        ...{ step: 0, validated: 0, skipped: 0, bad: 0, best: undefined, metrics: 0 },
        cursor: { epoch: 0, row: 0 },
        data: data.examples.identity,
        ...(config.device.precision === "f16" && { scaling: initialScaling }),
      };
      const run = new TuningRun(folder, config, device, data, state, undefined, unlock);
      await run.save(() => {});
      await writeConfig(folder, config);
      return run;
    });
  }

  /**
   * Goes on from the newest checkpoint, exactly: what was done after it is forgotten.
   * @throws LolaError "usage" where there is no run, or another process uses it; DataError when a file is damaged, or data
   *   or model are not what the run began with ("run.data", "run.base")
   */
  static async resume(device: Device, folder: string, data: TuningData): Promise<TuningRun> {
    const config = readTuningConfig(folder);
    return holding(folder, async (unlock) => {
      const files = runFiles(folder);
      for (const path of [files.last, files.best, files.config]) removeLeftovers(path);
      const stored = openTuning(files.last);
      try {
        const state = stateOf(stored);
        const { base, adapter } = stored;
        if (!sameModel(base.config, config.model) || JSON.stringify(adapter) !== JSON.stringify(config.shape.adapter))
          throw new DataError("run.config", `${files.config} is of another run than ${files.last}`);
        checkModel(folder, base, data.model);
        if (state.data !== data.examples.identity)
          throw new DataError("run.data", `the data is not what ${folder} began with`, "the files as they were");
        return new TuningRun(folder, config, device, data, state, stored, unlock);
      } finally {
        stored.close();
      }
    });
  }

  protected get cursor(): ExampleCursor {
    return this.batches.cursor;
  }

  protected draw(): MicroBatch {
    return this.batches.next();
  }

  protected get place(): string {
    const { cursor } = this.state;
    const count = this.config.accumulate * this.config.shape.batch;
    return `the ${count} rows before row ${cursor.row} of epoch ${cursor.epoch + 1}`;
  }

  /**
   * Where there is something to keep: the greatest strength at which it stays, and what is learnt then. The engine holds that
   * much of the weights until it is `measured`.
   */
  protected override async measure(stopped: () => boolean): Promise<Validation | undefined> {
    const { engine, rows, names, kept, data, config } = this;
    const forget = config.data.keep?.forget;
    const now = () => validate(engine, rows, names, stopped, kept);
    if (forget === undefined || !rows.some(({ language }) => kept.has(names[language]!))) return now();
    const scaled = await Scaled.of(engine, data.model);
    this.scaled = scaled;
    const at = (strength: number) => {
      scaled.set(strength);
      return now();
    };
    const before = (this.before ??= await at(0));
    const forgotten = (found: Validation) => meanChange(before!, found, kept);
    const found = before && this.step > 0 ? await temper(forget, at, forgotten) : undefined;
    if (stopped()) {
      this.measured();
      return undefined;
    }
    scaled.set(found?.strength ?? 0);
    const { strength, measured } = found ?? { strength: 0, measured: before! };
    return { ...measured, strength, forgotten: forgotten(measured) };
  }

  protected override measured(): void {
    this.scaled?.set(1);
    this.scaled = undefined;
  }

  protected async saveState(path: string): Promise<void> {
    await saveTuning(path, this.engine, { ...this.meta, training: this.state });
  }

  /** An adapter, or a whole model. */
  protected async saveBest(path: string): Promise<void> {
    const { engine, data, meta } = this;
    const { adapter, base, provenance, template } = meta;
    if (adapter) return saveAdapter(path, { adapter, base, provenance, template }, engine.stored("weights"));
    const { config, tokenizer } = data.model;
    await saveLola(path, { config, tokenizer, provenance, tensors: tunedTensors(data.model, engine) });
  }

  private get meta() {
    const { config, data, provenance } = this;
    const base: AdapterBase = { identity: data.model.identity, name: this.base, config: config.model };
    const { adapter } = config.shape;
    return { base, provenance, template: { ...config.template }, ...(adapter && { adapter }) } satisfies Omit<
      TuningMeta,
      "training"
    >;
  }

  /** What the model is called, wherever it lies on a resume. */
  private get base(): string {
    return this.config.base.model ?? this.data.model.label;
  }

  private get provenance(): Provenance {
    const { names, state, config, data } = this;
    const count = (n: number, what: string) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
    const examples = count(data.examples.train.length, "example");
    const tokens = count(state.step * tokensOfStep(config), "token");
    const from = `${this.base}; ${examples} in ${count(names.length, "language")}, ${tokens}`;
    return { made: "finetune", from, version, notes: [] };
  }
}

/** Mean over some languages of the share by which their bits per byte grew. */
function meanChange(before: Validation, after: Validation, languages: ReadonlySet<string>): number {
  const changes = Object.entries(after.languages).flatMap(([name, bits]) =>
    languages.has(name) ? [bits / before.languages[name]! - 1] : [],
  );
  return changes.reduce((a, b) => a + b, 0) / changes.length;
}

/** @throws DataError "run.base" */
function checkModel(folder: string, base: AdapterBase, model: ModelSource): void {
  if (model.identity === base.identity) return;
  const short = (identity: string) => `${identity.slice(0, 12)}…`;
  throw new DataError(
    "run.base",
    `${folder} adapts ${base.name} (${short(base.identity)}), ${model.label} is another model (${short(model.identity)})`,
    "-m with the model that the run began with",
  );
}

function stateOf({ training }: Pick<Tuning, "training">): State {
  return readState(training, (value) => {
    const { epoch, row } = asMap(value, "cursor", ["epoch", "row"]);
    return { epoch: asCount(epoch, "cursor epoch"), row: asCount(row, "cursor row") };
  });
}
