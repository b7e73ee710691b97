/** A model in training on a device: parameters, gradients and moments, and the programs of one step. */

import { ignored } from "../../kernels/loss/cross_entropy_backward.ts";
import { adamwUpdate } from "../../kernels/optim/adamw_update.ts";
import { squaresBlock, squaresForward } from "../../kernels/reduce/squares_forward.ts";
import { seedWords } from "../base/random.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { TensorStream } from "../checkpoint/tensor.ts";
import { type Device, elements, type Program, type Step, type Tensor } from "../device/device.ts";
import { gradientSteps } from "../model/training-backward.ts";
import { bytesOf, createTrainingBuffers, type TrainingBuffers, type TrainingShape } from "../model/training-buffers.ts";
import { dropValues, forwardSteps, lossSteps } from "../model/training-forward.ts";
import type { WeightSource } from "../model/weights.ts";
import { muonSteps } from "./muon.ts";
import { clipFactor, type Recipe } from "./optimizer.ts";
import { type Base, type Parameter, Parameters, type Stored } from "./parameters.ts";

/** Sequences of `time` tokens each, end to end: what the model reads and what it should say. */
export interface MicroBatch {
  inputs: Uint32Array;
  targets: Uint32Array;
}

/** What a forward pass says of one micro-batch. */
export interface Losses {
  /** Nats of each row; 0 where the target is ignored. */
  nll: Float32Array;
  /** [MoE layers, 2, E]: mean probability and share of rows of each expert, before any is dropped. */
  balance: Float32Array;
}

/** What one step did. */
export interface StepResult {
  /** Mean cross-entropy of the counted targets, nats. */
  loss: number;
  /** Σ over MoE layers of E · Σ me · ce, mean over micro-batches: 1 for each layer in perfect balance. */
  aux: number;
  /** Norm of the whole gradient, before clipping. */
  norm: number;
  /** Elements of the gradient that are not finite; the step changed nothing if there are any, or if the loss is not finite. */
  bad: number;
  /** [MoE layers, E]: share of rows of each expert, mean over micro-batches. */
  load: Float64Array;
}

/** Largest values of the programs' variables. */
const largest = {
  seed_low: 2 ** 32 - 1,
  seed_high: 2 ** 32 - 1,
  stream: 2 ** 32 - 1,
  dropout: 1,
  adapter_dropout: 1,
  capacity: 2 ** 32 - 1,
  scale: 2 ** 24,
  aux: 2 ** 24,
  add: 1,
  rate: 1,
  clip: 1,
  unbias1: 1,
  unbias2: 1,
};

export class TrainingEngine {
  readonly buffers: TrainingBuffers;
  readonly parameters: Parameters;
  private readonly sums: Tensor;
  private readonly backward: Program;
  private readonly forward: Program;
  private readonly measure: Program;
  private readonly adamw: Program;

  /**
   * @param base what is trained of the model; default: all of it
   * @throws LolaError "device" when it does not fit
   */
  constructor(
    readonly device: Device,
    readonly config: ModelConfig,
    readonly recipe: Recipe,
    shape: TrainingShape,
    private readonly seed: bigint,
    base?: Base,
  ) {
    this.parameters = new Parameters(device, config, shape, base);
    const { weights, gradients, list } = this.parameters;
    this.buffers = createTrainingBuffers(device, config, shape, weights);
    const { buffers } = this;
    this.backward = device.program("gradient", gradientSteps(config, weights, gradients, buffers), largest);
    this.forward = device.program(
      "loss",
      [...forwardSteps(config, weights, buffers), ...lossSteps(config, weights, buffers)],
      largest,
    );
    const blocks = list.map(({ g }) => Math.ceil(elements(g.shape) / squaresBlock));
    const total = blocks.reduce((a, b) => a + b, 0);
    this.sums = device.tensor({ label: "sums", shape: [total, 2], type: "f32" });
    this.measure = device.program("norm", this.squares(blocks));
    this.adamw = device.program("adamw", this.updates(), largest);
  }

  /** Fills the model's own tensors, those that are trained too. */
  loadBase(source: WeightSource): void {
    this.parameters.loadBase(source);
  }

  /** Fills what is trained, or its moments for a resumed run, from stored tensors. */
  load(what: Stored, source: WeightSource): void {
    this.parameters.load(what, source);
  }

  /** Every tensor that is trained, of one kind, by its stored name, f32. */
  stored(what: Stored): AsyncGenerator<TensorStream> {
    return this.parameters.stored(what);
  }

  /**
   * One step over its micro-batches: gradient of the mean loss of all counted targets, clipped, AdamW.
   * @param number of the step, from 1
   * @param rate learning rate
   * @param updates steps that changed the parameters, this one included; default: all
   * @param lossScale what the loss is multiplied by on the way back, and the gradient divided by before it is used
   */
  async step(
    batches: readonly MicroBatch[],
    number: number,
    rate: number,
    { updates = number, lossScale = 1 } = {},
  ): Promise<StepResult> {
    const { config, recipe, buffers } = this;
    const counted = batches.reduce(
      (sum, { targets }) => sum + targets.reduce((n, t) => n + (t < config.vocabulary ? 1 : 0), 0),
      0,
    );
    const moe = moeLayers(config).length;
    const load = new Float64Array(moe * config.experts);
    let [loss, aux] = [0, 0];
    for (const [i, batch] of batches.entries()) {
      this.put(batch);
      const values = {
        ...this.seeds((number - 1) * batches.length + i),
        ...dropValues(config, buffers, true),
        scale: lossScale / counted,
        aux: (lossScale * recipe.balance * config.experts) / buffers.rows / batches.length,
        add: i > 0 ? 1 : 0,
      };
      const { nll, balance } = await this.run(this.backward, values);
      loss += nll.reduce((sum, x) => sum + x, 0) / counted;
      for (let layer = 0; layer < moe; layer++)
        for (let e = 0; e < config.experts; e++) {
          const at = layer * 2 * config.experts + e;
          const share = balance[at + config.experts]!;
          load[layer * config.experts + e]! += share / batches.length;
          aux += (config.experts * balance[at]! * share) / batches.length;
        }
    }
    const [sums] = await this.device.run(this.measure, {}, { read: [this.sums] });
    const { norm, bad } = gradientNorm(new Float32Array(sums!.slice().buffer), lossScale);
    const result = { loss, aux, norm, bad, load };
    if (bad > 0 || !Number.isFinite(loss + aux + norm)) return { ...result, bad: Math.max(1, bad) };
    await this.device.run(this.adamw, {
      rate,
      clip: clipFactor(norm, recipe.clip) / lossScale,
      unbias1: 1 - recipe.beta1 ** updates,
      unbias2: 1 - recipe.beta2 ** updates,
    });
    return result;
  }

  /** Losses of a batch, with nothing dropped. */
  async evaluate(batch: MicroBatch): Promise<Losses> {
    this.put(batch);
    return this.run(this.forward, { ...this.seeds(0), ...dropValues(this.config, this.buffers, false), scale: 0 });
  }

  /** The expert of each row of a batch, with nothing dropped: [MoE layers, B · T]. @param inputs [B · T] */
  async routes(inputs: Uint32Array): Promise<Uint32Array> {
    this.put({ inputs, targets: new Uint32Array(inputs.length).fill(ignored) });
    const values = { ...this.seeds(0), ...dropValues(this.config, this.buffers, false), scale: 0 };
    const [experts] = await this.device.run(this.forward, values, { read: [this.buffers.expert] });
    return new Uint32Array(experts!.slice().buffer);
  }

  private async run(program: Program, values: Record<string, number>): Promise<Losses> {
    const { nll, balance } = this.buffers;
    const [losses, loads] = await this.device.run(program, values, { read: [nll, balance] });
    return { nll: new Float32Array(losses!.slice().buffer), balance: new Float32Array(loads!.slice().buffer) };
  }

  private put({ inputs, targets }: MicroBatch): void {
    const { token, target, sorted } = this.buffers;
    this.device.upload(token, bytesOf(inputs));
    this.device.upload(target, bytesOf(targets));
    this.device.upload(sorted, bytesOf(sortedRows(inputs, this.config.vocabulary)));
  }

  private seeds(stream: number): Record<string, number> {
    const [seed_low, seed_high] = seedWords(this.seed);
    return { seed_low, seed_high, stream };
  }

  private squares(blocks: number[]): Step[] {
    let at = 0;
    return this.parameters.list.map(({ g }, i) => {
      const params = { count: elements(g.shape), at };
      at += blocks[i]!;
      return { kernel: squaresForward, bindings: { x: g, sums: this.sums }, params };
    });
  }

  private updates(): Step[] {
    const { beta1, beta2, epsilon: eps, weightDecay } = this.recipe;
    const variables = { rate: "rate", clip: "clip", unbias1: "unbias1", unbias2: "unbias2" };
    const orthogonal = (parameter: Parameter) => this.recipe.optimizer === "muon" && parameter.matrix;
    const matrices = this.parameters.list.flatMap((parameter) => orthogonal(parameter) || []);
    const rest = this.parameters.list.filter((parameter) => !orthogonal(parameter));
    return [
      ...rest.map(({ w, g, m, v, decays }) => ({
        kernel: adamwUpdate,
        bindings: { g, w, m, v },
        params: { count: elements(w.shape), beta1, beta2, eps, decay: decays ? weightDecay : 0, ...variables },
      })),
      ...muonSteps(this.device, matrices, weightDecay),
    ];
  }
}

/** Rows sorted by (token, row): a stable counting sort. */
function sortedRows(tokens: Uint32Array, vocabulary: number): Uint32Array {
  const next = new Uint32Array(vocabulary + 1);
  for (const token of tokens) next[token + 1]!++;
  for (let v = 0; v < vocabulary; v++) next[v + 1]! += next[v]!;
  const rows = new Uint32Array(tokens.length);
  for (let t = 0; t < tokens.length; t++) rows[next[tokens[t]!]!++] = t;
  return rows;
}

/** Of a gradient that is `scale` times too long. */
function gradientNorm(sums: Float32Array, scale: number): { norm: number; bad: number } {
  let [squares, bad] = [0, 0];
  for (let i = 0; i < sums.length; i += 2) {
    squares += sums[i]!;
    bad += sums[i + 1]!;
  }
  return { norm: Math.sqrt(squares) / scale, bad };
}
