/** How much memory a run will take, counted by the very code that allocates it, on a device that only counts. */
import { CountingDevice } from "../device/counting.ts";
import type { Tensor } from "../device/device.ts";
import { createTrainingBuffers } from "../model/training-buffers.ts";
import type { RunConfig } from "./config.ts";
import { TrainingEngine } from "./engine.ts";
import { type Base, Parameters } from "./parameters.ts";

/** Bytes, by what they are for. */
export interface TrainingPlan {
  parameters: number;
  gradients: number;
  /** Both of AdamW. */
  moments: number;
  /** What the way forward leaves for the way back. */
  activations: number;
  /** Of one block of rows. */
  logits: number;
  /** All other tensors: gradients on their way, rows in the order of experts, sums. */
  scratch: number;
  /** The program itself, the largest parameter on its way to a checkpoint, and what a product of the CPU engine packs. */
  program: number;
  total: number;
}

/** The program without a model: code, heap, buffers of files. */
const programBytes = 96 << 20;

/**
 * Memory of a run with these settings.
 * @param base what is trained of the model; default: all of it
 */
export function planTraining(
  { model, recipe, shape }: Pick<RunConfig, "model" | "recipe" | "shape">,
  base?: Base,
): TrainingPlan {
  const counter = new CountingDevice();
  const { weights, list } = new Parameters(counter, model, shape, base);
  const gradients = sum(list.map(({ g }) => g));
  const parameters = counter.memory - 3 * gradients;
  const largest = Math.max(...list.map(({ w }) => w.bytes));
  const buffers = createTrainingBuffers(counter, model, shape, weights);
  const layers = [...new Set(buffers.layers)].flatMap(({ low, ...rest }) => [
    ...Object.values(rest),
    ...Object.values(low),
  ]);
  const activations = sum([...buffers.x, ...layers, buffers.expert, buffers.kept, buffers.prob]);
  const logits = buffers.logits.bytes;

  const whole = new CountingDevice();
  new TrainingEngine(whole, model, recipe, shape, 0n, base);
  const scratch = whole.memory - parameters - 3 * gradients - activations - logits;
  const packed = Math.max(logits, 4 * buffers.rows * Math.max(model.inner, 3 * model.width));
  const program = programBytes + largest + packed;
  const total = whole.memory + program;
  return { parameters, gradients, moments: 2 * gradients, activations, logits, scratch, program, total };
}

function sum(tensors: readonly Tensor[]): number {
  return tensors.reduce((bytes, tensor) => bytes + tensor.bytes, 0);
}
