/** What is told of adapters and of merged models, to people and to programs. */
import type { FloatType } from "../base/float.ts";
import { type AdapterConfig, adapterModules } from "../checkpoint/adapter.ts";
import type { AdapterSource } from "../checkpoint/adapter-file.ts";
import type { Provenance } from "../checkpoint/source.ts";
import type { TensorInfo } from "../checkpoint/tensor.ts";
import type { MergeCheck } from "../evaluate/merged.ts";
import { bytes, grouped, table } from "./style.ts";

/** What `lola models show --json` and `lola import --json` tell of one. */
export interface AdapterDescription extends AdapterConfig {
  label: string;
  base: { name: string; identity: string };
  /** Matrices that have an adapter. */
  modules: number;
  parameters: number;
  bytes: number;
  /** Name of the template that it keeps. */
  template: string | null;
  provenance: Provenance;
  tensors: TensorInfo[];
}

export function describeAdapter({ label, adapter, base, tensors, template, provenance }: AdapterSource) {
  const infos = Array.from(tensors.values(), ({ name, type, shape, bytes }) => ({ name, type, shape, bytes }));
  const size = infos.reduce((sum, { bytes }) => sum + bytes, 0);
  const named = typeof template === "object" && "name" in template ? String(template.name) : null;
  return {
    ...{ label, base: { name: base.name, identity: base.identity }, ...adapter },
    modules: adapterModules(base.config, adapter).size,
    ...{ parameters: size / 4, bytes: size, template: named, provenance, tensors: infos },
  } satisfies AdapterDescription;
}

/** For people. */
export function showAdapter(adapter: AdapterDescription): string {
  const { label, base, rank, alpha, dropout, targets, experts, modules, parameters, template, provenance } = adapter;
  const facts = table([
    ["adapter", label],
    ["of the model", `${base.name}, ${base.identity}`],
    ["made by", `${provenance.made} from ${provenance.from}, version ${provenance.version}`],
    ["rank", String(rank)],
    ["alpha", `${alpha}: the product is multiplied by ${alpha / rank}`],
    ["dropout", `${dropout}, in training`],
    ["targets", targets.join(" ")],
    ...(experts ? [["experts", experts.map((layer) => layer.join(",") || "none").join("; ")]] : []),
    ["matrices", grouped(modules)],
    ["parameters", `${grouped(parameters)}, ${bytes(adapter.bytes)}`],
    ["template", template ?? "none"],
    ...provenance.notes.map((note) => ["note", note]),
  ]);
  return `${facts}\n\n${table(adapter.tensors.map((t) => [t.name, t.type, `[${t.shape.join(", ")}]`]))}`;
}

/** What `lola merge --json` prints, its keys in snake_case. */
export interface Merged {
  model: string;
  adapters: { name: string; strength: number }[];
  path: string;
  identity: string;
  fileBytes: number;
  /** Matrices with adapters, and how many of them were quantized. */
  changed: number;
  dequantized: number;
  /** What they are stored in. */
  type: FloatType;
  check: MergeCheck;
  device: { kind: string; name: string };
  seconds: number;
}

/** For people. */
export function showMerged({ path, fileBytes, identity, model, adapters, ...merged }: Merged): string {
  const { changed, dequantized, type, check } = merged;
  const { tokens, compared, gap, effect, ties } = check;
  const likeliest = ties === 0 ? "the likeliest token is the same" : `the likeliest tokens differ in ${ties} ties`;
  const most = `${likeliest}, logits differ by ${gap.toPrecision(2)} at most, where the adapters move them by up to ${effect.toPrecision(2)}`;
  return [
    `${path}: ${bytes(fileBytes)}, ${adapters.map(({ name }) => name).join(", ")} merged into ${model}`,
    `identity ${identity}`,
    `${changed} matrices changed; stored as ${type}`,
    ...(dequantized > 0 ? [`${dequantized} of them were quantized; lola quantize makes the file small again`] : []),
    `held against the base with adapters at run time, on ${tokens} fixed tokens: ${most}`,
    ...(compared < tokens ? [`left out: ${tokens - compared} tokens, whose experts are others by rounding`] : []),
    ...(effect > 0
      ? []
      : ["none of these tokens passes a matrix with an adapter: only the weights show that it is there"]),
  ].join("\n");
}
