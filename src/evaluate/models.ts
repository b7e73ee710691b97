/** What a changed model costs in each language, and where it decides otherwise than the one that it was made from. */
import { moeLayers } from "../checkpoint/config.ts";
import type { Document } from "../data/documents.ts";
import { Likelihood } from "../model/likelihood.ts";
import type { Model } from "../model/open.ts";
import { type Comparison, compareOn, type ExpertNames } from "./compare.ts";
import { windowsOf } from "./text.ts";

/** Bits per byte by both models. */
export interface LanguageCost {
  language: string;
  bytes: number;
  tokens: number;
  before: number;
  after: number;
  /** after / before − 1. */
  change: number;
}

export interface ModelCost {
  /** By name. */
  languages: LanguageCost[];
  bytes: number;
  tokens: number;
  /** Mean of the languages' changes. */
  meanChange: number;
  /** The language that lost most. */
  worst: LanguageCost;
  /** Share of tokens for which both find the same next one likeliest. */
  sameBest: number;
  /** Share of tokens that both send to the same expert, by MoE layer. */
  routing: { layer: number; same: number }[];
}

export interface CompareOptions {
  /** Where the second model has other experts. */
  names?: ExpertNames;
  /** Called before each language. */
  progress?: (done: number, all: number, language: string) => void;
  signal?: AbortSignal;
}

/** Tokens that are seen at once, at most. */
const longest = 512;
/** Tokens of one pass, where the context allows. */
const rows = 1024;

/**
 * Reads every text with both models, by windows of at most 512 tokens that overlap by half.
 * @param models with one tokenizer and device, and one config but for the number of experts
 * @param texts at least one, none empty, each of another language
 * @throws DOMException AbortError after `signal`
 */
export async function compareModels(
  models: readonly [Model, Model],
  texts: readonly Document[],
  { names, progress, signal }: CompareOptions = {},
): Promise<ModelCost> {
  const [{ config, tokenizer, device }] = models;
  const context = Math.min(config.context, longest);
  const { eos, vocabulary } = config;
  const size = { eos, vocabulary, context, stride: Math.ceil(context / 2) };
  const most = Math.max(...texts.map(({ text }) => windowsOf(tokenizer.encode(text), size).length));
  const batch = Math.max(1, Math.min(most, Math.floor(rows / context)));
  const observer = ({ config, weights }: Model) => new Likelihood(device, { ...config, context }, weights, batch, true);
  const observers = [observer(models[0]), observer(models[1])] as const;
  const found: { language: string; comparison: Comparison }[] = [];
  for (const { language, text } of texts) {
    signal?.throwIfAborted();
    progress?.(found.length, texts.length, language);
    found.push({ language, comparison: await compareOn(observers, tokenizer, text, size, names) });
  }
  const sum = (of: (comparison: Comparison) => number) =>
    found.reduce((total, { comparison }) => total + of(comparison), 0);
  const languages = found.map(({ language, comparison: { bytes, tokens, bits } }): LanguageCost => {
    const [before, after] = [bits[0] / bytes, bits[1] / bytes];
    return { language, bytes, tokens, before, after, change: after / before - 1 };
  });
  const tokens = sum((c) => c.tokens);
  return {
    languages,
    bytes: sum((c) => c.bytes),
    tokens,
    meanChange: languages.reduce((total, { change }) => total + change, 0) / languages.length,
    worst: languages.reduce((worst, one) => (one.change > worst.change ? one : worst)),
    sameBest: sum((c) => c.sameBest) / tokens,
    routing: moeLayers(config).map((layer, i) => ({ layer, same: sum((c) => c.sameExpert[i] ?? 0) / tokens })),
  };
}
