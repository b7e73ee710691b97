/** A fine-tuning so small that a step takes milliseconds: questions with answers in two languages, two layers, two experts. */
import { readFileSync, writeFileSync } from "node:fs";
import { memoryBytes } from "../../src/checkpoint/bytes.ts";
import { openLola, saveLola } from "../../src/checkpoint/lola-file.ts";
import { openExamples } from "../../src/data/examples.ts";
import { exampleFormats } from "../../src/data/formats/read.ts";
import { findSources } from "../../src/data/sources.ts";
import { alpaca } from "../../src/data/template.ts";
import { initialWeights } from "../../src/model/init.ts";
import { tokenizerOf } from "../../src/model/open.ts";
import type { Method, TuningConfig } from "../../src/train/config.ts";
import type { TuningData } from "../../src/train/tuning-run.ts";
import { tinyData, tinyModel, tinyRun } from "./tiny.ts";

/** Rows of 48 bytes, one token each. */
const time = 48;
export const tunedModel = { ...tinyModel, context: time };

/** Writes a model of random weights. */
export async function writeModel(path: string, seed = 3n, config = tunedModel): Promise<void> {
  const { tokenizer } = tinyData();
  const source = initialWeights(config, seed, 0.1);
  const tensors = Array.from(source.tensors.values(), ({ name, type, shape }) => {
    const content = Buffer.concat(Array.from(source.read(name), (piece) => piece.slice()));
    return { name, type, shape, pieces: [new Uint8Array(content)] };
  });
  const provenance = { made: "test", from: "nothing", version: "0", notes: [] };
  await saveLola(path, { config, tokenizer: tokenizer.data, provenance, tensors });
}

/** Writes rows of both languages. @param prompt how a question begins */
export function writeRows(path: string, count = 60, prompt = "Say"): void {
  const words = { deu: ["eins", "zwei", "drei"], swa: ["moja", "mbili", "tatu"] };
  const rows = Array.from({ length: count }, (_, i) => {
    const lang = i % 3 === 0 ? "deu" : "swa";
    return { prompt: `${prompt} ${i}: `, completion: words[lang][(i % 7) % 3]!.repeat(1 + (i % 3)), lang };
  });
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

/** 30 steps of two rows in two parts; measured every 4 steps, a checkpoint every 3. */
export async function tinyTuning(
  method: Method,
  files: { model: string; data: string },
  changes: Partial<TuningConfig> = {},
): Promise<{ config: TuningConfig; data: TuningData }> {
  const model = openLola(memoryBytes(readFileSync(files.model), files.model));
  const tokenizer = tokenizerOf(model);
  const { sigma: _, ...settings } = tinyRun();
  const tokens = 30 * 2 * time;
  const config: TuningConfig = {
    ...settings,
    method,
    base: { model: files.model, identity: model.identity },
    template: alpaca,
    model: model.config,
    recipe: { ...settings.recipe, tokens, warmup: 0, decay: tokens },
    shape: {
      ...{ batch: 1, time, recompute: false, dropout: 0 },
      ...(method === "lora" && {
        adapter: { rank: 2, alpha: 4, dropout: 0.1, targets: ["attn.c_attn", "experts.c_fc"] },
      }),
    },
    ...(method === "experts" && { experts: [[1]] }),
    data: { paths: [files.data], validation: 0.2, windows: 3, trainOnPrompt: false, tooLong: "error" },
    validateEvery: 4,
    saveEvery: 3,
    baseline: true,
    ...changes,
  };
  const sources = await findSources([files.data], "", undefined, exampleFormats);
  const { trainOnPrompt, tooLong, validation } = config.data;
  const options = { tokenizer, eos: model.config.eos, context: time, template: alpaca };
  const examples = await openExamples(sources, { ...options, trainOnPrompt, tooLong, validation });
  return { config, data: { model, tokenizer, examples } };
}
