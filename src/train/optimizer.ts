/** Settings of a training step: the recipe of spec §3. */

/** `muon`: of the matrices inside the layers; tables, gates, norms and biases have AdamW's steps then too. */
export const optimizers = ["adamw", "muon"] as const;
export type Optimizer = (typeof optimizers)[number];

export interface Recipe {
  optimizer: Optimizer;
  /** Tokens that the run is to see. */
  tokens: number;
  /** Peak and final learning rate; tokens of linear warm-up; tokens at whose end the cosine has reached the final rate. */
  rate: number;
  finalRate: number;
  warmup: number;
  decay: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Decoupled weight decay, on matrices and tables only. */
  weightDecay: number;
  /** Largest norm of the gradient; what is longer is scaled down to it. */
  clip: number;
  /** Weight of the balance loss. */
  balance: number;
}

/** Learning rate after `consumed` tokens (spec §3, LR formula). */
export function learningRate({ rate, finalRate, warmup, decay }: Recipe, consumed: number): number {
  if (consumed <= warmup && warmup > 0) return (rate * consumed) / warmup;
  if (consumed > decay) return finalRate;
  const done = (consumed - warmup) / Math.max(1, decay - warmup);
  return finalRate + 0.5 * (1 + Math.cos(Math.PI * done)) * (rate - finalRate);
}

/** Factor that brings a gradient of norm `norm` to at most `clip` (as torch's clip_grad_norm_ has it). */
export function clipFactor(norm: number, clip: number): number {
  return Math.min(1, clip / (norm + 1e-6));
}
