/** The resolved settings of a run: what its `config.json` holds, enough to go on from its checkpoints alone. */
import type { ModelConfig } from "../checkpoint/config.ts";
import type { TooLong } from "../data/examples.ts";
import type { Template } from "../data/template.ts";
import type { Precision } from "../device/device.ts";
import type { TrainingShape } from "../model/training-buffers.ts";
import type { Recipe } from "./optimizer.ts";

/** What runs of every kind have. */
export interface RunSettings {
  /** Version of the program that began the run. */
  version: string;
  model: ModelConfig;
  recipe: Recipe;
  shape: TrainingShape;
  /** Micro-batches of one step. */
  accumulate: number;
  /** 64-bit, decimal. */
  seed: string;
  /** Engine, its name, whether the processor does its work: equal bytes are promised on the same one only. */
  device: {
    kind: string;
    name: string;
    software: boolean;
    /** Of products; f32 where an older run says nothing. */
    precision?: Precision;
    /** Of the processor, where the run was given so many. */
    threads?: number;
  };
  /** Steps between validations, and between checkpoints. */
  validateEvery: number;
  saveEvery: number;
  /** Steps between looks at where held-out text goes; absent: none. */
  routingEvery?: number;
  /** Validations in a row that may be no better than the best; absent or 0: any number. */
  patience?: number;
  /** Is the model measured before the first step, too, and is there always something for use? */
  baseline?: boolean;
}

/** Of `lola train`. */
export interface RunConfig extends RunSettings {
  /** Deviation of the initial weights. */
  sigma: number;
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
}

/** How a model is adapted: adapters beside its matrices, all of its weights, or those of some experts. */
export const methods = ["lora", "full", "experts"] as const;
export type Method = (typeof methods)[number];

/** Of `lola finetune`. */
export interface TuningConfig extends RunSettings {
  method: Method;
  /** Absolute path or name of the model that is adapted, null for the built-in one, and its content hash. */
  base: { model: string | null; identity: string };
  /** Of each MoE layer the experts that are trained, or have adapters; absent: all. */
  experts?: number[][];
  template: Template;
  data: {
    /** Absolute; stdin was kept as a file of the run. */
    paths: string[];
    /** Share of the examples held out, and validation rows of each language. */
    validation: number;
    windows: number;
    trainOnPrompt: boolean;
    tooLong: TooLong;
    /** What the model is to stay good at: files, and the mean share by which it may get worse there. */
    keep?: { paths: string[]; forget: number };
  };
}
