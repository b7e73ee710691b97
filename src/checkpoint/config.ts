/** The shape of a LOLA model: what `config.json` of the published layout says, in this project's names (spec §1.1). */
import { DataError } from "../base/errors.ts";
import { asMap } from "./fields.ts";

export interface ModelConfig {
  /** Architecture; the key under which `src/model` finds its graph. */
  family: "lola_v1";
  /** Rows of the embedding, dummy rows after the tokenizer's last id included. */
  vocabulary: number;
  /** Learned positions: the longest sequence, in tokens. */
  context: number;
  /** Channels of the residual stream. */
  width: number;
  layers: number;
  heads: number;
  /** Channels between the two matrices of a feed-forward layer. */
  inner: number;
  /** Experts of each odd (0-based) layer; even layers are dense. */
  experts: number;
  normEpsilon: number;
  bos: number;
  eos: number;
  pad: number;
}

/** Odd 0-based layers are mixtures, even ones dense (spec §1.2). */
export function isMoe(layer: number): boolean {
  return layer % 2 === 1;
}

/** Layers that are mixtures of experts, ascending: [1, 3, …]. */
export function moeLayers(config: Pick<ModelConfig, "layers">): number[] {
  return Array.from({ length: config.layers }, (_, i) => i).filter(isMoe);
}

/** Bounds that no real model comes near, so that products of them stay exact and lists of layers stay short. */
const limits = {
  vocabulary: 2 ** 24,
  context: 2 ** 24,
  width: 2 ** 16,
  layers: 2 ** 10,
  heads: 2 ** 10,
  inner: 2 ** 20,
  experts: 2 ** 12,
} as const;

/**
 * A config that came from a file, checked field by field.
 * @throws DataError "config.…" naming the field and its value
 */
export function validateConfig(value: unknown): ModelConfig {
  const sizes = Object.keys(limits) as (keyof typeof limits)[];
  const ids = ["bos", "eos", "pad"] as const;
  const config = asMap(value, "config", ["family", "normEpsilon", ...sizes, ...ids]) as unknown as ModelConfig;
  if (config.family !== "lola_v1") throw wrong("family", config.family, '"lola_v1"');
  for (const name of sizes) {
    if (!isInteger(config[name], 1, limits[name])) throw wrong(name, config[name], `1 to ${limits[name]}`);
  }
  for (const name of ids) {
    if (!isInteger(config[name], 0, config.vocabulary - 1))
      throw wrong(name, config[name], `0 to ${config.vocabulary - 1}`);
  }
  if (config.width % config.heads !== 0) throw wrong("heads", config.heads, `a divisor of the width, ${config.width}`);
  const epsilon = config.normEpsilon;
  if (typeof epsilon !== "number" || !(epsilon > 0 && epsilon < 1))
    throw wrong("normEpsilon", epsilon, "between 0 and 1");
  return config;
}

function isInteger(value: unknown, least: number, most: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

function wrong(name: string, value: unknown, expected: string): DataError {
  return new DataError(
    `config.${name}`,
    `config: ${name} is ${String(JSON.stringify(value)).slice(0, 60)}, expected ${expected}`,
  );
}
