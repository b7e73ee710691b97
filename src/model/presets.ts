/** Models of LOLA's architecture in four sizes: every second layer a mixture of 16 experts, one chosen for each token. */
import type { ModelConfig } from "../checkpoint/config.ts";

/** The sizes that a model is described by. */
export type Sizes = Pick<ModelConfig, "vocabulary" | "context" | "width" | "layers" | "heads" | "inner" | "experts">;

export interface Preset {
  sizes: Sizes;
  /** Deviation of the initial weights. */
  sigma: number;
  /** Of the layers' matrices. */
  optimizer: "adamw" | "muon";
  /** Peak learning rate, sequences of one step, and of one micro-batch. */
  rate: number;
  batch: number;
  microBatch: number;
  /** Shares of the training after which the rate is at its peak, and at its last value. */
  warmup: number;
  decay: number;
  /** Share of activations dropped, and capacity of the experts, where the recipe has them. */
  dropout?: number;
  capacity?: number;
  /** Its size in words, and what it is for. */
  doc: string;
}

const usual = { optimizer: "muon", sigma: 0.02, warmup: 0.02, decay: 1 } as const;

/** `lola-v1` is the published model with its recipe (spec §1.1, §3); the others scale its shape down. */
export const presets = {
  nano: {
    ...usual,
    sizes: { vocabulary: 4096, context: 256, width: 128, layers: 4, heads: 4, inner: 512, experts: 16 },
    ...{ rate: 5e-3, batch: 16, microBatch: 16 },
    doc: "5 million parameters, for a first try",
  },
  mini: {
    ...usual,
    sizes: { vocabulary: 16384, context: 256, width: 256, layers: 6, heads: 4, inner: 1024, experts: 16 },
    ...{ rate: 4e-3, batch: 32, microBatch: 16 },
    doc: "33 million parameters",
  },
  small: {
    ...usual,
    sizes: { vocabulary: 32768, context: 512, width: 512, layers: 8, heads: 8, inner: 2048, experts: 16 },
    ...{ rate: 2e-3, batch: 64, microBatch: 8 },
    doc: "168 million parameters",
  },
  "lola-v1": {
    sizes: { vocabulary: 100096, context: 2048, width: 2048, layers: 24, heads: 16, inner: 8192, experts: 16 },
    optimizer: "adamw",
    ...{ sigma: 0.01, rate: 2e-4, batch: 768, microBatch: 8, warmup: 0.1, decay: 0.8 },
    ...{ dropout: 0.1, capacity: 1 },
    doc: "7.5 billion parameters, the published shape and recipe",
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as PresetName[];

/** Rows of an embedding are a multiple of this, as LOLA's are. */
const rowsOf = 64;

/** Rows of the embedding for so many tokens. */
export function paddedVocabulary(tokens: number): number {
  return Math.ceil(tokens / rowsOf) * rowsOf;
}

/** Heads of 64 channels, as narrow models have them; of a quarter of the width where that is less. */
export function usualHeads(width: number): number {
  const size = Math.min(64, Math.max(1, Math.floor(width / 4)));
  for (let heads = Math.max(1, Math.round(width / size)); heads > 1; heads--) if (width % heads === 0) return heads;
  return 1;
}

/** Parameters of the whole model, and those that one token goes through (embedding rows counted once). */
export function parameterCounts(sizes: Sizes): { total: number; active: number } {
  const { vocabulary, context, width, layers, inner, experts } = sizes;
  const moe = Math.floor(layers / 2);
  const feedForward = 2 * width * inner + inner + width;
  const rest = (vocabulary + context) * width + layers * (4 * width * width + 8 * width) + 2 * width;
  return {
    total: rest + (layers - moe + moe * experts) * feedForward + moe * experts * width,
    active: rest + layers * feedForward + moe * experts * width,
  };
}
