/** What a run tells while it trains: the lines of `metrics.jsonl`, and what progress and reports are made from. */

/** One optimizer step. */
export interface StepEvent {
  event: "step";
  /** From 1. */
  step: number;
  /** Tokens seen by the end of this step. */
  tokens: number;
  /** Mean cross-entropy, nats a token; Σ of the MoE layers' balance losses; norm of the gradient before clipping. In JSON, what is not finite is null. */
  loss: number;
  aux: number;
  norm: number;
  /** Learning rate. */
  rate: number;
  /** Entropy of each MoE layer's expert load, nats, ln E when even; the largest share of any expert. */
  entropy: number[];
  share: number[];
  /** Elements of the gradient that were not finite: the step was left out if there were any. */
  bad: number;
  /** What the loss was multiplied by on the way back; only with products in f16. */
  lossScale?: number;
}

/** Held-out text, after a step. */
export interface ValidationEvent {
  event: "validation";
  step: number;
  tokens: number;
  /** Over all languages together but those that are only to be kept, and of each. */
  bitsPerByte: number;
  languages: Record<string, number>;
  /** Where some are to be kept: how much of what was learnt was taken, and mean change of their bits per byte. */
  strength?: number;
  forgotten?: number;
  /** [MoE layers][E] share of the held-out tokens that each expert got, three digits. */
  load: number[][];
}

/** A checkpoint is safe on the disk. */
export interface SaveEvent {
  event: "save";
  step: number;
  best: boolean;
}

/** Wall time, which differs from run to run: kept apart, so that the other lines are equal in equal runs. */
export interface SpeedEvent {
  event: "speed";
  step: number;
  /** Tokens a second since the last such line, waiting for data, validation and saves included. */
  tokensPerSecond: number;
  /** Joules used by the processor meanwhile, where the machine tells. */
  joules?: number;
}

export type TrainingEvent = StepEvent | ValidationEvent | SaveEvent | SpeedEvent;
