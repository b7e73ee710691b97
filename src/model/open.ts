/** From a name or a path to a model on a device: where the checkpoint, the tokenizer and the weights meet. */
import { DataError } from "../base/errors.ts";
import type { AdapterShare } from "../checkpoint/adapter-file.ts";
import { modelPath } from "../checkpoint/models.ts";
import { type Embedded, openModel } from "../checkpoint/open.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Device } from "../device/device.ts";
import { type HfFiles, parseHfTokenizer } from "../tokenizer/load.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { attachAdapters, loadAdapter } from "./adapter.ts";
import type { ExpertPool } from "./offload-pool.ts";
import { Session, type SessionOptions } from "./session.ts";
import { loadWeights, type Weights } from "./weights.ts";

/** Tokenizer files of a folder → what the checkpoint keeps of them. */
export function parseTokenizer(files: Partial<Record<string, string>>): { data: unknown; size: number } {
  const data = parseHfTokenizer(files as HfFiles);
  return { data, size: new Tokenizer(data).size };
}

/**
 * Opens a model for reading: a path, the name of a model in the model folder, or the embedded one.
 * @throws LolaError "usage" when there is none; DataError when it is damaged
 */
export function openSource(model: string | Embedded): ModelSource {
  return openModel(typeof model === "string" ? modelPath(model) : model, parseTokenizer);
}

/** The tokenizer of a model. @throws DataError when it is inconsistent, or larger than the model's vocabulary */
export function tokenizerOf(source: ModelSource): Tokenizer {
  return new Tokenizer(source.tokenizer);
}

/** A model whose weights are on a device. */
export class Model {
  constructor(
    readonly device: Device,
    readonly source: ModelSource,
    readonly tokenizer: Tokenizer,
    readonly weights: Weights,
  ) {}

  get config() {
    return this.source.config;
  }

  /** A new sequence with its own cache. */
  session(options: SessionOptions = {}): Session {
    return new Session(this.device, this.config, this.weights, { allowed: this.tokenizer.size, ...options });
  }
}

/**
 * Streams a model's weights to a device.
 * @param pool brings experts when they are wanted; such a model runs in sessions, and nowhere else
 * @throws LolaError "device" when they do not fit; DataError when the file is damaged
 */
export function loadModel(
  device: Device,
  source: ModelSource,
  tokenizer = tokenizerOf(source),
  pool?: ExpertPool,
): Model {
  if (tokenizer.size > source.config.vocabulary)
    throw new DataError(
      "model.vocabulary",
      `${source.label}: the tokenizer has ${tokenizer.size} tokens, the model ${source.config.vocabulary}`,
    );
  return new Model(device, source, tokenizer, loadWeights(device, source.config, source, pool));
}

/**
 * The same model with adapters added to its products.
 * @throws LolaError "device" when they do not fit, "usage" for adapters of experts that take turns; DataError when a file is damaged
 */
export function adaptModel({ device, source, tokenizer, weights }: Model, shares: readonly AdapterShare[]): Model {
  const placed = shares.map(({ adapter, strength }) => loadAdapter(device, adapter, strength));
  return new Model(device, source, tokenizer, attachAdapters(weights, placed));
}
