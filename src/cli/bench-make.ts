/** The part of `lola bench` that writes a model of random weights, for measuring sizes that nobody has trained here. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { TensorStream } from "../checkpoint/tensor.ts";
import { parameterCounts, presets, usualHeads } from "../model/presets.ts";
import type { WeightSource } from "../model/weights.ts";
import { dummyTokenizer, firstTokens } from "../tokenizer/layout.ts";
import { parseShape, storedTypes } from "./bench-model.ts";
import type { BenchContext, BenchFlags, BenchResult } from "./commands/bench.ts";
import { required } from "./context.ts";

/** A model that was written. */
export interface MadeModel {
  path: string;
  /** On the disk. */
  bytes: number;
  parameters: number;
}

/** Writes the model that the flags describe, tensor by tensor. */
export async function makeModel(context: BenchContext): Promise<Partial<BenchResult>> {
  const { flags, notes } = context;
  const path = required(flags.output, "-o FILE", "lola bench make-model --preset nano -o random.lola");
  const { config, name } = randomModel(flags);
  const { randomWeights } = await import("../model/random.ts");
  const weights = randomWeights(config, await storedTypes(flags.type, "as quantized"));
  const signal = context.cancellation();
  const all = Array.from(weights.tensors.values()).reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const progress = (tensor: string, bytes: number) => {
    signal.throwIfAborted();
    notes.progress(`${Math.floor((100 * done) / all)} %  ${tensor}`);
    done += bytes;
  };
  try {
    const save = flags.to === "hf" ? saveHf : saveFile;
    const files = await save(path, config, weights, flags, progress);
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    const { total: parameters } = parameterCounts(config);
    return { model: { name: `random ${name}, ${flags.type}` }, made: { path, bytes, parameters } };
  } finally {
    notes.progress("");
  }
}

type Save = (
  path: string,
  config: ModelConfig,
  weights: WeightSource,
  flags: BenchFlags,
  progress: (tensor: string, bytes: number) => void,
) => Promise<string[]>;

const saveFile: Save = async (path, config, weights, { force, type }, progress) => {
  if (existsSync(path) && !force)
    throw new LolaError("usage", `${path} exists`, "--force to replace it, or another -o FILE");
  const { inOrder } = await import("../checkpoint/layout.ts");
  const { saveLola } = await import("../checkpoint/lola-file.ts");
  async function* tensors(): AsyncGenerator<TensorStream> {
    for (const { name, type, shape, bytes } of inOrder({ config, tensors: weights.tensors })) {
      // Signals are heard between tensors.
      await new Promise(setImmediate);
      progress(name, bytes);
      yield { name, type, shape, pieces: weights.read(name) };
    }
  }
  const notes = [`weights as ${type}, uniform in ±0.03, of AES-128 in counter mode: nothing was learnt`];
  const provenance = { made: "bench make-model", from: "random bits", version, notes };
  const contents = { config, tokenizer: dummyTokenizer(config.vocabulary), provenance, tensors: tensors() };
  await saveLola(path, contents, { store: "raw" });
  return [path];
};

const saveHf: Save = async (path, config, weights, { type }, progress) => {
  if (type === "q8" || type === "q4")
    throw new LolaError("usage", `the published layout holds no ${type} weights`, "--type f16");
  const { exportHf } = await import("../checkpoint/export.ts");
  const { toHfFiles } = await import("../tokenizer/save.ts");
  const texts = toHfFiles(dummyTokenizer(config.vocabulary), config.context);
  const { files } = await exportHf({ config, ...weights }, path, texts, { progress });
  return files.map((name) => join(path, name));
};

/** Sizes of the preset or shape, but for those that are given one by one. @throws LolaError "usage" */
function randomModel(flags: BenchFlags): { config: ModelConfig; name: string } {
  if (flags.model !== undefined)
    throw new LolaError(
      "usage",
      "lola bench make-model makes random weights",
      "--preset or --shape instead of --model",
    );
  if (flags.preset !== undefined && flags.shape !== undefined)
    throw new LolaError("usage", "--preset and --shape are two models", "one of them");
  const preset = presets[flags.preset ?? "nano"].sizes;
  const base = flags.shape === undefined ? preset : parseShape(flags.shape, flags.context ?? preset.context);
  const width = flags.width ?? base.width;
  const same = width === base.width;
  const sizes = {
    width,
    layers: flags.layers ?? base.layers,
    heads: flags.heads ?? (same ? base.heads : usualHeads(width)),
    inner: flags.inner ?? (same ? base.inner : 4 * width),
    vocabulary: flags.vocabulary ?? base.vocabulary,
    experts: flags.experts ?? base.experts,
  };
  if (sizes.vocabulary < firstTokens.length)
    throw new LolaError("usage", `a vocabulary of ${sizes.vocabulary}: a tokenizer has ${firstTokens.length} at least`);
  const shape = Object.values(sizes).join("-");
  return { config: parseShape(shape, flags.context ?? base.context), name: shape };
}
