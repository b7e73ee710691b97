/**
 * Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): for some of a model's matrices two small ones whose product, times
 * alpha / rank, is added: y = x · W + b + alpha / rank · (x · A) · B. Which matrices, and what their tensors are called.
 */
import { DataError } from "../base/errors.ts";
import { isMoe, type ModelConfig, moeLayers } from "./config.ts";
import { asCount, asList, asMap } from "./fields.ts";
import type { TensorInfo } from "./tensor.ts";

/** Matrices that may have an adapter, by their place in a layer; `head` adds to the logits alone, not to the embedding. */
export const adapterTargets = [
  ...["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
  ...["experts.c_fc", "experts.c_proj", "head"],
] as const;
export type AdapterTarget = (typeof adapterTargets)[number];

/** Targets as people name them. */
export const targetGroups = {
  attention: ["attn.c_attn", "attn.c_proj"],
  dense: ["mlp.c_fc", "mlp.c_proj"],
  experts: ["experts.c_fc", "experts.c_proj"],
  head: ["head"],
} as const satisfies Record<string, readonly AdapterTarget[]>;

export interface AdapterConfig {
  /** Columns of A and rows of B. */
  rank: number;
  alpha: number;
  /** Share of an adapter's inputs that is dropped in training. */
  dropout: number;
  /** In the order of `adapterTargets`. */
  targets: AdapterTarget[];
  /** Of each MoE layer the experts that have adapters, ascending; absent: all. */
  experts?: number[][];
}

/** A matrix [inner, cols] with an adapter. */
export interface AdapterModule {
  target: AdapterTarget;
  inner: number;
  cols: number;
}

const mostRank = 4096;

/** Matrices that an adapter of this config has, by name, in the order of the file. */
export function adapterModules(model: ModelConfig, { targets, experts }: AdapterConfig): Map<string, AdapterModule> {
  const { width, inner } = model;
  const modules = new Map<string, AdapterModule>();
  const add = (name: string, target: AdapterTarget, from: number, to: number) => {
    if (targets.includes(target)) modules.set(name, { target, inner: from, cols: to });
  };
  for (let i = 0; i < model.layers; i++) {
    add(`h.${i}.attn.c_attn`, "attn.c_attn", width, 3 * width);
    add(`h.${i}.attn.c_proj`, "attn.c_proj", width, width);
    if (!isMoe(i)) {
      add(`h.${i}.mlp.c_fc`, "mlp.c_fc", width, inner);
      add(`h.${i}.mlp.c_proj`, "mlp.c_proj", inner, width);
      continue;
    }
    for (const e of experts ? experts[(i - 1) / 2]! : Array(model.experts).keys()) {
      add(`h.${i}.moe.experts.${e}.c_fc`, "experts.c_fc", width, inner);
      add(`h.${i}.moe.experts.${e}.c_proj`, "experts.c_proj", inner, width);
    }
  }
  add("head", "head", width, model.vocabulary);
  return modules;
}

/** Names and shapes of all its tensors, in the order of the file: NAME.lora_a [in, rank] and NAME.lora_b [rank, out]. */
export function adapterTensors(model: ModelConfig, config: AdapterConfig): Map<string, number[]> {
  const modules = adapterModules(model, config);
  return new Map(
    Array.from(modules).flatMap(([name, { inner, cols }]): [string, number[]][] => [
      [`${name}.lora_a`, [inner, config.rank]],
      [`${name}.lora_b`, [config.rank, cols]],
    ]),
  );
}

/**
 * An adapter's config that came from a file, checked field by field against the model that it is for.
 * @throws DataError "adapter.…" naming the field and its value
 */
export function validateAdapter(value: unknown, model: ModelConfig): AdapterConfig {
  const fields = asMap(value, "adapter", ["alpha", "dropout", "rank", "targets"], ["experts"]);
  const { alpha, dropout } = fields;
  const rank = asCount(fields.rank, "adapter rank");
  if (rank < 1 || rank > mostRank) throw wrong("rank", rank, `1 to ${mostRank}`);
  if (typeof alpha !== "number" || !(alpha > 0 && alpha < 2 ** 20)) throw wrong("alpha", alpha, "above 0");
  if (typeof dropout !== "number" || !(dropout >= 0 && dropout < 1))
    throw wrong("dropout", dropout, "0 or more, below 1");
  const listed = asList(fields.targets, "adapter targets");
  const targets = adapterTargets.filter((target) => listed.includes(target));
  if (targets.length === 0 || targets.join() !== listed.join())
    throw wrong("targets", listed, `some of ${adapterTargets.join(", ")}, in this order`);
  const config: AdapterConfig = { rank, alpha, dropout, targets };
  if (fields.experts !== undefined) config.experts = readExperts(fields.experts, model);
  if (adapterModules(model, config).size === 0) throw wrong("targets", targets, "some that this model has");
  return config;
}

function readExperts(value: unknown, model: ModelConfig): number[][] {
  const layers = asList(value, "adapter experts", moeLayers(model).length);
  return layers.map((layer) => {
    const experts = asList(layer, "adapter experts").map((e) => asCount(e, "adapter experts"));
    if (experts.some((e, i) => e >= model.experts || e <= (experts[i - 1] ?? -1)))
      throw wrong("experts", experts, `numbers below ${model.experts}, ascending`);
    return experts;
  });
}

/**
 * Holds a table of tensors against the config.
 * @throws DataError "adapter.tensor" naming the first that is missing, of another shape or too many
 */
export function checkAdapterTensors(
  model: ModelConfig,
  config: AdapterConfig,
  found: ReadonlyMap<string, TensorInfo>,
  label: string,
): void {
  const expected = adapterTensors(model, config);
  for (const [name, shape] of expected) {
    const tensor = found.get(name);
    const is = tensor ? `is ${tensor.type} [${tensor.shape.join(", ")}]` : "is missing";
    if (tensor?.type !== "f32" || tensor.shape.join() !== shape.join())
      throw new DataError("adapter.tensor", `${label}: ${name} ${is}, f32 [${shape.join(", ")}] is expected`);
  }
  for (const name of found.keys())
    if (!expected.has(name)) throw new DataError("adapter.tensor", `${label}: ${name} does not belong to this adapter`);
}

function wrong(name: string, value: unknown, expected: string): DataError {
  const shown = String(JSON.stringify(value)).slice(0, 60);
  return new DataError(`adapter.${name}`, `adapter: ${name} is ${shown}, expected ${expected}`);
}
