/**
 * Adapters as Hugging Face's PEFT keeps them: a folder with `adapter_config.json` and `adapter_model.safetensors`. There A is
 * [rank, in] and B [out, rank], weights of linear layers without bias, also where the base's matrix is a Conv1D, [in, out]
 * (`fan_in_fan_out`). Sources: PEFT's "checkpoint format" guide, and adapters of GPT-2 that it wrote.
 */
import { join } from "node:path";
import { type Output, saveFolder } from "../base/atomic.ts";
import type { Disk } from "../base/disk.ts";
import { DataError } from "../base/errors.ts";
import { type FloatType, fromFloats, toFloats } from "../base/float.ts";
import {
  type AdapterConfig,
  type AdapterTarget,
  adapterModules,
  adapterTargets,
  adapterTensors,
  checkAdapterTensors,
  validateAdapter,
} from "./adapter.ts";
import type { AdapterSource } from "./adapter-file.ts";
import { type ModelConfig, moeLayers } from "./config.ts";
import { readJson } from "./hf-folder.ts";
import { openSafeTensors, type SafeTensor, writeSafeTensors } from "./safetensors.ts";
import type { ModelSource, Provenance } from "./source.ts";
import { type TensorInfo, tensorBytes } from "./tensor.ts";

const configFile = "adapter_config.json";
const weightsFile = "adapter_model.safetensors";
const prefix = "base_model.model.";

/** Settings of which this program reads one value alone; absent means that value. */
const fixed: readonly [name: string, value: unknown, why: string][] = [
  ["peft_type", "LORA", "only low-rank adapters are read"],
  ["bias", "none", "biases are not trained beside adapters"],
  ["use_dora", false, "the directions of weights are not kept apart from their lengths"],
  ["use_rslora", false, "the scale is alpha / rank"],
  ["lora_bias", false, "B has no bias"],
  ["modules_to_save", null, "only adapters are read"],
];

/** PEFT's name of a module: the published layout's, and `lm_head` for the logits. */
function published(module: string): string {
  return prefix + (module === "head" ? "lm_head" : `transformer.${module}`);
}

/** A tensor's name there. */
function peftName(name: string): string {
  const [, module, which] = /^(.+)\.lora_([ab])$/.exec(name)!;
  return `${published(module!)}.lora_${which!.toUpperCase()}.weight`;
}

/**
 * Writes an adapter as PEFT's folder, whole or not at all; its tensors bit for bit, f32.
 * @throws LolaError "usage" if the folder holds something; whatever reading or saving throws
 */
export async function exportPeft(adapter: AdapterSource, folder: string, disk?: Disk): Promise<string[]> {
  const { base, adapter: config } = adapter;
  const plan = Array.from(adapterTensors(base.config, config), ([source, [rows = 1, cols = 1]]) => {
    const name = peftName(source);
    const shape = [cols, rows];
    return { name, source, type: "f32" as const, shape, bytes: tensorBytes(source, "f32", shape) };
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const json = `${JSON.stringify(settings(base.name, base.config, config), null, 2)}\n`;
  await saveFolder(
    folder,
    async (output) => {
      await output.file(weightsFile, (file: Output) =>
        writeSafeTensors(file, plan, ({ source, shape: [cols = 1, rows = 1] }) => [
          turned(whole(adapter.read(source)), rows, cols),
        ]),
      );
      await output.file(configFile, (file: Output) => file.write(new TextEncoder().encode(json)));
    },
    disk,
  );
  return [weightsFile, configFile];
}

/** `adapter_config.json`, with the keys that PEFT writes. */
function settings(base: string, model: ModelConfig, { rank, alpha, dropout, targets, experts }: AdapterConfig) {
  const each = experts
    ? (i: number) => experts[i]!.map((e) => `h.${2 * i + 1}.moe.experts.${e}`)
    : (i: number) => (i === 0 ? Array.from({ length: model.experts }, (_, e) => `moe.experts.${e}`) : []);
  const named = (target: AdapterTarget): string[] => {
    if (target === "head") return ["lm_head"];
    if (!target.startsWith("experts.")) return [target];
    return moeLayers(model).flatMap((_, i) => each(i).map((expert) => `${expert}.${target.slice("experts.".length)}`));
  };
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: base,
    bias: "none",
    // Of the head, the one linear layer among them, PEFT finds out by itself.
    fan_in_fan_out: true,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: alpha,
    lora_dropout: dropout,
    megatron_config: null,
    megatron_core: "megatron.core",
    modules_to_save: null,
    peft_type: "LORA",
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules: targets.flatMap(named),
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: false,
  };
}

/**
 * Reads PEFT's folder as an adapter of `base`; tensors of 16 bits become f32.
 * @param version of this program
 * @throws DataError "peft.…" naming the setting or the tensor that does not fit
 */
export function importPeft(folder: string, base: ModelSource, version: string): AdapterSource {
  const path = join(folder, configFile);
  const json = readJson(path);
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new DataError("peft.config", `${path} is no JSON object`);
  const given = json as Record<string, unknown>;
  for (const [name, value, why] of fixed) {
    const found = given[name] ?? value;
    if (found !== value) throw new DataError(`peft.${name}`, `${path}: ${name} is ${shown(found)}: ${why}`);
  }
  for (const name of ["alpha_pattern", "rank_pattern"])
    if (Object.keys(Object(given[name])).length > 0)
      throw new DataError(
        `peft.${name}`,
        `${path}: ${name} is ${shown(given[name])}: all modules have one rank and alpha`,
      );
  const file = openSafeTensors(join(folder, weightsFile));
  try {
    const stored = new Map(Array.from(file.tensors, ([name, tensor]) => [oursOf(name, file.tensors), tensor]));
    const { r: rank, lora_alpha: alpha, lora_dropout: dropout = 0 } = given;
    const adapter = validateAdapter({ rank, alpha, dropout, ...covered([...stored.keys()], base.config) }, base.config);
    const tensors = new Map<string, TensorInfo>();
    for (const [name, { type, shape }] of stored) {
      const back = shape.toReversed();
      const info = { name, type: "f32" as const, shape: back, bytes: tensorBytes(name, "f32", back) };
      if (!type) throw new DataError("peft.type", `${folder}: ${peftName(name)} holds no floats`);
      tensors.set(name, info);
    }
    checkAdapterTensors(base.config, adapter, tensors, folder);
    const provenance: Provenance = { made: "import", from: folder, version, notes: [] };
    return {
      ...{ label: folder, adapter, provenance, tensors },
      base: { identity: base.identity, name: base.label, config: base.config },
      *read(name) {
        const tensor = stored.get(name)!;
        const [rows = 1, cols = 1] = tensor.shape;
        yield turned(whole(tensor.read(), tensor.type), rows, cols);
      },
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Our name of a tensor. */
function oursOf(name: string, all: ReadonlyMap<string, SafeTensor>): string {
  const [, module, which] = /^base_model\.model\.(?:transformer\.)?(.+)\.lora_([AB])\.weight$/.exec(name) ?? [];
  const ours = module === "lm_head" ? "head" : module;
  const found = ours && which ? `${ours}.lora_${which.toLowerCase()}` : undefined;
  if (found && /^[a-z0-9._]+$/.test(found) && peftName(found) === name) return found;
  throw new DataError("peft.tensor", `${name} is no adapter of this layout, among ${all.size} tensors`);
}

/** Targets, and experts where not all have them, that a table of tensors covers. */
function covered(names: readonly string[], model: ModelConfig): Pick<AdapterConfig, "targets" | "experts"> {
  const all = adapterModules(model, { rank: 1, alpha: 1, dropout: 0, targets: [...adapterTargets] });
  const modules = new Set(names.map((name) => name.replace(/\.lora_[ab]$/, "")));
  const found = [...all].filter(([name]) => modules.has(name));
  const targets = adapterTargets.filter((target) => found.some(([, module]) => module.target === target));
  const experts = moeLayers(model).map((i) =>
    Array.from({ length: model.experts }, (_, e) => e).filter((e) =>
      found.some(([name]) => name.startsWith(`h.${i}.moe.experts.${e}.`)),
    ),
  );
  const some = targets.some((target) => target.startsWith("experts."));
  return { targets, ...(some && experts.some(({ length }) => length < model.experts) && { experts }) };
}

/** All elements of pieces of a float type, as f32. */
function whole(pieces: Iterable<Uint8Array>, type: FloatType = "f32"): Float32Array {
  const bytes = Buffer.concat(Array.from(pieces, (piece) => piece.slice()));
  return toFloats(new Uint8Array(bytes), type);
}

/** Bytes of the transpose of a matrix [rows, cols]. */
function turned(values: Float32Array, rows: number, cols: number): Uint8Array {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) result[j * rows + i] = values[i * cols + j]!;
  return fromFloats(result, "f32");
}

const shown = (value: unknown) => String(JSON.stringify(value)).slice(0, 60);
