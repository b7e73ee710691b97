/** Which tensors a model has, by its config (spec §1.3), and how many parameters that makes (spec §1.6). */
import { DataError } from "../base/errors.ts";
import { isMoe, type ModelConfig, moeLayers } from "./config.ts";
import type { TensorInfo } from "./tensor.ts";

/**
 * Names and shapes of all tensors. Names are those of the published layout without `transformer.`;
 * matrices are input-major ([in, out]) except the gate ([experts, width]).
 */
export function expectedTensors(config: ModelConfig): Map<string, number[]> {
  const { width: c, inner: f } = config;
  const shapes = new Map<string, number[]>();
  const norm = (name: string) => shapes.set(`${name}.weight`, [c]).set(`${name}.bias`, [c]);
  const linear = (name: string, from: number, to: number) =>
    shapes.set(`${name}.weight`, [from, to]).set(`${name}.bias`, [to]);
  const feedForward = (name: string) => {
    linear(`${name}.c_fc`, c, f);
    linear(`${name}.c_proj`, f, c);
  };
  shapes.set("wte.weight", [config.vocabulary, c]).set("wpe.weight", [config.context, c]);
  for (let i = 0; i < config.layers; i++) {
    norm(`h.${i}.ln_1`);
    linear(`h.${i}.attn.c_attn`, c, 3 * c);
    linear(`h.${i}.attn.c_proj`, c, c);
    norm(`h.${i}.ln_2`);
    if (isMoe(i)) {
      shapes.set(`h.${i}.moe.gate.weight`, [config.experts, c]);
      for (let e = 0; e < config.experts; e++) feedForward(`h.${i}.moe.experts.${e}`);
    } else {
      feedForward(`h.${i}.mlp`);
    }
  }
  norm("ln_f");
  return shapes;
}

/** How many tensors that is, without making the list. */
export function tensorCount(config: Pick<ModelConfig, "layers" | "experts">): number {
  const mixtures = moeLayers(config).length;
  return 4 + 8 * config.layers + 4 * (config.layers - mixtures) + (1 + 4 * config.experts) * mixtures;
}

export interface ParameterCounts {
  total: number;
  /** Used by one token: all but the experts not chosen; both embeddings counted. */
  active: number;
}

/** Exact parameter counts; LOLA v1 gives 7,459,827,712 and 1,418,186,752. */
export function parameterCounts(config: ModelConfig): ParameterCounts {
  const { width: c, inner: f } = config;
  const feedForward = c * f + f + f * c + c;
  const mixtures = moeLayers(config).length;
  const shared =
    (config.vocabulary + config.context) * c +
    config.layers * (4 * c + c * 3 * c + 3 * c + c * c + c) +
    (config.layers - mixtures) * feedForward +
    mixtures * config.experts * c +
    2 * c;
  return { total: shared + mixtures * config.experts * feedForward, active: shared + mixtures * feedForward };
}

/**
 * Holds a table of tensors against the config.
 * @throws DataError "layout.missing", "layout.extra" or "layout.shape", naming the first tensor
 */
export function checkTensors(config: ModelConfig, found: ReadonlyMap<string, TensorInfo>, label: string): void {
  // Counted first: a config can ask for far more names than a file can hold.
  const count = tensorCount(config);
  const expected = count <= 2 * found.size + 1024 ? expectedTensors(config) : undefined;
  if (!expected)
    throw new DataError("layout.missing", `${label}: the config asks for ${count} tensors, the file has ${found.size}`);
  for (const [name, shape] of expected) {
    const tensor = found.get(name);
    if (!tensor) throw new DataError("layout.missing", `${label}: tensor ${name} [${shape.join(", ")}] is missing`);
    if (tensor.shape.join() !== shape.join()) {
      throw new DataError(
        "layout.shape",
        `${label}: tensor ${name} is [${tensor.shape.join(", ")}], the config asks for [${shape.join(", ")}]`,
      );
    }
  }
  for (const name of found.keys()) {
    if (!expected.has(name))
      throw new DataError("layout.extra", `${label}: tensor ${name} does not belong to this model`);
  }
}

/**
 * A model's tensors in the order of files: that of `expectedTensors`, but equal parts of all experts of a layer follow one another,
 * so that they can be mapped as one tensor.
 */
export function inOrder(model: { config: ModelConfig; tensors: ReadonlyMap<string, TensorInfo> }): TensorInfo[] {
  const parts = Map.groupBy(expectedTensors(model.config).keys(), (name) => name.replace(/(?<=\.experts\.)\d+/, ""));
  return [...parts.values()].flat().map((name) => model.tensors.get(name)!);
}
