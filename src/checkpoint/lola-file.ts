/** A model in a `.lola` file: read, written whole, verified. */
import { type Accept, saveFile } from "../base/atomic.ts";
import type { Disk } from "../base/disk.ts";
import { DataError } from "../base/errors.ts";
import { Sha256 } from "../base/hash.ts";
import type { ByteSource } from "./bytes.ts";
import { type ModelConfig, validateConfig } from "./config.ts";
import { containerBytes, openContainer, type WriteOptions, writeContainer } from "./container.ts";
import { asList, asMap, asString } from "./fields.ts";
import { checkTensors } from "./layout.ts";
import type { Plain } from "./msgpack.ts";
import { encodeProfile, type RoutingProfile, readProfile } from "./profile.ts";
import { identityOf, type ModelSource, type Provenance } from "./source.ts";
import type { TensorInfo, TensorStream } from "./tensor.ts";

/** A `.lola` file as a model, with what only such a file can tell. */
export interface LolaFile extends ModelSource {
  /**
   * Reads everything and checks each chunk and each tensor's SHA-256.
   * @throws DataError naming the first damage
   */
  verify(progress?: (name: string) => void): void;
}

/** Kind of a container that holds a model and, in `training` and behind these names, what its training goes on from. */
export const checkpointKind = "checkpoint";
export const momentPrefixes = ["m.", "v."] as const;

/**
 * Opens a model in a `.lola` file, or the one in a checkpoint; nothing but its header is read.
 * @throws DataError for anything that FORMAT.md does not allow
 */
export function openLola(source: ByteSource): LolaFile {
  const container = openContainer(source);
  try {
    const training = container.kind === checkpointKind;
    if (container.kind !== "model" && !training)
      throw new DataError(
        "header.kind",
        `${source.label} holds ${JSON.stringify(container.kind)}, not a model`,
        container.kind === "adapter" ? `--adapter ${source.label}, with -m for its model` : undefined,
      );
    const fields = ["config", "provenance", "tokenizer", ...(training ? ["training"] : [])];
    const meta = asMap(container.meta, "meta", fields, container.optional);
    const config = validateConfig(meta.config);
    const routing = meta.routing === undefined ? undefined : readProfile(meta.routing, config);
    const isMoment = (name: string) => training && momentPrefixes.some((prefix) => name.startsWith(prefix));
    const tensors = new Map([...container.tensors].filter(([name]) => !isMoment(name)));
    checkTensors(config, tensors, source.label);
    let identity: string | undefined;
    return {
      label: source.label,
      config,
      tokenizer: meta.tokenizer,
      provenance: readProvenance(meta.provenance),
      tensors,
      notes: container.unknown.map(
        (name) => `ignored the optional feature ${JSON.stringify(name)}, which this version does not know`,
      ),
      ...(routing && { routing }),
      ...(meta.template !== undefined && { template: meta.template as Plain }),
      read: container.read,
      extent: container.extent,
      get identity() {
        return (identity ??= identityOf(config, meta.tokenizer, tensors.values()));
      },
      verify(progress) {
        for (const { name, sha256 } of container.tensors.values()) {
          progress?.(name);
          const content = new Sha256();
          for (const piece of container.read(name)) content.update(piece);
          if (content.hex() !== sha256)
            throw new DataError("tensor.hash", `${source.label}: ${name} does not have the content its header names`);
        }
      },
      close: container.close,
    };
  } catch (error) {
    container.close();
    throw error;
  }
}

/** What a file holds besides weights. */
export interface ModelMeta {
  config: ModelConfig;
  tokenizer: unknown;
  provenance: Provenance;
  routing?: RoutingProfile;
  /** How conversations are written for it. */
  template?: Plain;
}

/** As the header has it. */
function encodeMeta({ config, tokenizer, provenance, routing, template }: ModelMeta) {
  return {
    ...{ config, provenance, tokenizer },
    ...(routing && { routing: encodeProfile(routing) }),
    ...(template !== undefined && { template }),
  };
}

export interface ModelContents extends ModelMeta {
  /** Every tensor that the config asks for; the order becomes the file's. */
  tensors: Iterable<TensorStream> | AsyncIterable<TensorStream>;
}

/**
 * Saves a model as one file, whole or not at all. Same contents and options, same bytes.
 * @returns its identity
 * @throws LolaError "failed" if the disk refuses; DataError if contents and config do not fit
 */
export async function saveLola(
  path: string,
  { tensors, ...meta }: ModelContents,
  options: WriteOptions & { disk?: Disk; accept?: Accept } = {},
): Promise<string> {
  const { config, tokenizer } = meta;
  validateConfig(config);
  let identity = "";
  await saveFile(
    path,
    async (output) => {
      const written = await writeContainer(output, "model", encodeMeta(meta), tensors, options);
      checkTensors(config, new Map(written.map((tensor) => [tensor.name, tensor])), path);
      identity = identityOf(config, tokenizer, written);
    },
    options.disk,
    options.accept,
  );
  return identity;
}

/** Bytes of the file that `saveLola` makes of such tensors with `store: "raw"`; with zstd it is no larger. */
export function lolaBytes(meta: ModelMeta, tensors: readonly TensorInfo[]): number {
  return containerBytes("model", encodeMeta(meta), tensors);
}

/** @throws DataError "header.fields" */
export function readProvenance(value: unknown): Provenance {
  const fields = asMap(value, "provenance", ["from", "made", "notes", "version"]);
  return {
    made: asString(fields.made, "provenance made"),
    from: asString(fields.from, "provenance from"),
    version: asString(fields.version, "provenance version"),
    notes: asList(fields.notes, "provenance notes").map((note) => asString(note, "provenance note")),
  };
}
