/** An adapter in a `.lola` file, bound to its base model by that one's identity. */
import { saveFile } from "../base/atomic.ts";
import { DataError } from "../base/errors.ts";
import { type AdapterConfig, checkAdapterTensors, validateAdapter } from "./adapter.ts";
import type { ByteSource } from "./bytes.ts";
import { type ModelConfig, validateConfig } from "./config.ts";
import { openContainer, writeContainer } from "./container.ts";
import { asHex, asMap, asString } from "./fields.ts";
import { readProvenance } from "./lola-file.ts";
import type { Plain } from "./msgpack.ts";
import type { ModelSource, Provenance } from "./source.ts";
import type { TensorStream } from "./tensor.ts";

/** The model that an adapter is for. */
export interface AdapterBase {
  /** Its content hash. */
  identity: string;
  /** What it was called, for messages. */
  name: string;
  config: ModelConfig;
}

/** What an adapter is, besides its tensors. */
export interface AdapterMeta {
  adapter: AdapterConfig;
  base: AdapterBase;
  provenance: Provenance;
  /** How conversations are written for it; opaque here. */
  template?: Plain;
}

/** An adapter that can be read; all of its tensors are f32. */
export interface AdapterSource extends AdapterMeta, Pick<ModelSource, "label" | "tensors" | "read" | "close"> {}

/** An adapter, and what it adds is multiplied by. */
export interface AdapterShare {
  adapter: AdapterSource;
  strength: number;
}

export const adapterKind = "adapter";

/**
 * Opens an adapter; nothing but its header is read.
 * @throws DataError for anything that FORMAT.md does not allow
 */
export function openAdapter(source: ByteSource): AdapterSource {
  const container = openContainer(source);
  try {
    if (container.kind !== adapterKind)
      throw new DataError("header.kind", `${source.label} holds ${JSON.stringify(container.kind)}, not an adapter`);
    const meta = readAdapterMeta(container.meta, []);
    checkAdapterTensors(meta.base.config, meta.adapter, container.tensors, source.label);
    const { tensors, read, close } = container;
    return { ...meta, label: source.label, tensors, read, close };
  } catch (error) {
    container.close();
    throw error;
  }
}

/** @param more keys that the container's kind has besides an adapter's */
export function readAdapterMeta(value: unknown, more: readonly string[]): AdapterMeta {
  const meta = asMap(value, "meta", ["adapter", "base", "provenance", ...more], ["template"]);
  const base = readBase(meta.base);
  return {
    adapter: validateAdapter(meta.adapter, base.config),
    base,
    provenance: readProvenance(meta.provenance),
    ...(meta.template !== undefined && { template: meta.template as Plain }),
  };
}

export function readBase(value: unknown): AdapterBase {
  const base = asMap(value, "base", ["config", "identity", "name"]);
  return {
    identity: asHex(base.identity, 64, "base identity"),
    name: asString(base.name, "base name"),
    config: validateConfig(base.config),
  };
}

/**
 * Refuses a model that is not the one an adapter was made for.
 * @throws DataError "adapter.base"
 */
export function checkBase({ label, base }: Pick<AdapterSource, "label" | "base">, model: ModelSource): void {
  if (model.identity === base.identity) return;
  const short = (identity: string) => identity.slice(0, 12);
  throw new DataError(
    "adapter.base",
    `${label} is for the model ${base.name} (${short(base.identity)}…), ${model.label} is another (${short(model.identity)}…)`,
    "without -m, so that the model it is for is looked for",
  );
}

/**
 * Saves an adapter as one file, whole or not at all. Same contents, same bytes.
 * @param tensors all of `adapterTensors`, f32; the order becomes the file's
 * @throws LolaError "failed" if the disk refuses; DataError if tensors and config do not fit
 */
export async function saveAdapter(
  path: string,
  meta: AdapterMeta,
  tensors: Iterable<TensorStream> | AsyncIterable<TensorStream>,
): Promise<void> {
  await saveFile(path, async (output) => {
    const written = await writeContainer(output, adapterKind, encodeAdapterMeta(meta), tensors, { store: "raw" });
    checkAdapterTensors(meta.base.config, meta.adapter, new Map(written.map((tensor) => [tensor.name, tensor])), path);
  });
}

export function encodeAdapterMeta({ adapter, base, provenance, template }: AdapterMeta) {
  return { adapter, base, provenance, ...(template !== undefined && { template }) };
}
