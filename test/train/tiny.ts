/** A run so small that a step takes milliseconds: two languages of made-up tokens, two layers, two experts. */
import { philox } from "../../src/base/random.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import type { LanguageTokens } from "../../src/data/tokens.ts";
import { byteCharacters } from "../../src/tokenizer/alphabet.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import type { RunConfig } from "../../src/train/config.ts";
import type { RunData } from "../../src/train/run.ts";

const eos = 256;

export const tinyModel: ModelConfig = {
  family: "lola_v1",
  vocabulary: 272,
  context: 16,
  width: 16,
  layers: 2,
  heads: 2,
  inner: 32,
  experts: 2,
  normEpsilon: 1e-5,
  ...{ bos: eos, eos, pad: eos },
};

/** 40 steps of 64 tokens in two micro-batches; validation every 8 steps, a checkpoint every 5. */
export function tinyRun(changes: Partial<RunConfig> = {}): RunConfig {
  return {
    version: "0",
    model: tinyModel,
    recipe: {
      ...{ optimizer: "adamw" as const, tokens: 40 * 64, rate: 1e-2, finalRate: 1e-3, warmup: 256, decay: 2560 },
      ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1, balance: 0.01 },
    },
    shape: { batch: 2, time: 16, recompute: false, dropout: 0.1, capacity: { factor: 1, least: 4, random: true } },
    accumulate: 2,
    sigma: 0.02,
    seed: "7",
    device: { kind: "cpu", name: "test", software: true },
    data: { paths: ["a.txt", "b.txt"], alpha: 0.5, validation: 0.1, windows: 3 },
    validateEvery: 8,
    saveEvery: 5,
    ...changes,
  };
}

/** One token for each byte, and an eos. */
function byteTokenizer(): Tokenizer {
  const end = "<|endoftext|>";
  return new Tokenizer({
    vocabulary: [...byteCharacters, end],
    merges: [],
    added: [{ id: eos, content: end, special: true, lstrip: false, rstrip: false }],
    roles: { eos_token: end },
    addPrefixSpace: false,
  });
}

/** Documents of 40 tokens, in which each token has one of three successors: something that can be learnt. */
function side(seed: number, tokens: number) {
  const ids = new Uint16Array(tokens);
  for (let i = 0, at = 0; i < tokens; i++) {
    at = (at * 7 + 13 * seed + (philox([seed, 0], [i, 0, 0, 0])[0] % 3)) % 64;
    ids[i] = i % 40 === 39 ? eos : at;
  }
  const documents = Math.ceil(tokens / 40);
  return { documents, bytes: tokens - documents, ids };
}

export function tinyData(): RunData {
  const language = (name: string, seed: number, tokens: number): LanguageTokens => ({
    language: name,
    train: side(seed, tokens),
    validation: side(seed + 10, 90),
  });
  return { tokenizer: byteTokenizer(), languages: [language("deu", 1, 900), language("swa", 2, 400)] };
}
