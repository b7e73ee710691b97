/** The resolved settings of a run: what its `config.json` holds, enough to go on from its checkpoints alone. */
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Precision } from "../device/device.ts";
import type { TrainingShape } from "../model/training-buffers.ts";
import type { Recipe } from "./optimizer.ts";

export interface RunConfig {
  /** Version of the program that began the run. */
  version: string;
  model: ModelConfig;
  recipe: Recipe;
  shape: TrainingShape;
  /** Micro-batches of one step. */
  accumulate: number;
  /** Deviation of the initial weights. */
  sigma: number;
  /** 64-bit, decimal. */
  seed: string;
  /** Engine, its name, whether the processor does its work: equal bytes are promised on the same one only. */
  device: {
    kind: string;
    name: string;
    software: boolean;
    /** Of products; f32 where an older run says nothing. */
    precision?: Precision;
  };
  data: {
    /** Absolute; stdin was kept as a file of the run. */
    paths: string[];
    /** Exponent of language sampling, bytes above which a language counts as no larger. */
    alpha: number;
    cap?: number;
    /** Share of documents held out, and validation windows of each language. */
    validation: number;
    windows: number;
  };
  /** Steps between validations, and between checkpoints. */
  validateEvery: number;
  saveEvery: number;
}
