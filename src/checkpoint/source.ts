/** A model that can be read, whatever it is stored in: what a `.lola` file and a Hugging Face folder have in common. */
import { Sha256, sha256 } from "../base/hash.ts";
import type { Reader } from "./bytes.ts";
import type { ModelConfig } from "./config.ts";
import { encode, type Plain } from "./msgpack.ts";
import type { RoutingProfile } from "./profile.ts";
import type { TensorInfo } from "./tensor.ts";

/** Where a model comes from; no dates, so that the same input gives the same file. */
export interface Provenance {
  /** The verb that made it, for example "import". */
  made: string;
  /** What it was made from. */
  from: string;
  /** Version of the program that made it. */
  version: string;
  /** What was mended or lost on the way. */
  notes: string[];
}

/** A tensor's content as it lies in an open file. */
export interface Extent {
  /** Its descriptor; a mapping made by it outlives the source. */
  file: number;
  /** A multiple of 256. */
  offset: number;
}

export interface ModelSource {
  /** What messages call it: a path, or a name for bytes in memory. */
  readonly label: string;
  readonly config: ModelConfig;
  /** TokenizerData as `src/tokenizer` defines it; opaque here. */
  readonly tokenizer: unknown;
  readonly provenance: Provenance;
  /** All tensors of `expectedTensors(config)` and no others, in the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Things mended or ignored, for the user. */
  readonly notes: readonly string[];
  /** Where texts went, if that was counted; no part of the identity. */
  readonly routing?: RoutingProfile;
  /** How conversations are written for it, opaque here; no part of the identity. */
  readonly template?: Plain;
  /**
   * Little-endian content of one tensor in order, in pieces of at most 16 MiB that hold whole elements (words, where it is quantized);
   * a piece is valid until the next step.
   * Bytes of a `.lola` file are checked against their hash before they are handed out.
   * @param reader where `extent` names a file: another way to its bytes
   * @throws DataError if the file is damaged
   */
  read(name: string, reader?: Reader): Iterable<Uint8Array>;
  /** Where a tensor's content lies in one piece, unchecked; undefined where it is compressed, or in memory. */
  extent?(name: string): Extent | undefined;
  /** Content hash, 64 hex digits: same config, tokenizer and weights, same identity. Reads a folder's weights on first use. */
  readonly identity: string;
  close(): void;
}

/** One leaf of the identity. */
export type TensorHash = Pick<TensorInfo, "name" | "type" | "shape"> & { sha256: string };

/**
 * The root hash of a model: SHA-256 over the canonical MessagePack of config, tokenizer and, by name, each tensor's type, shape and content hash.
 * How the content is compressed or split does not count.
 */
export function identityOf(config: ModelConfig, tokenizer: unknown, leaves: Iterable<TensorHash>): string {
  const rows = Array.from(leaves, (t) => [t.name, t.type, t.shape, t.sha256] as const).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return sha256(encode(["lola identity 1", config, tokenizer, rows]));
}

/** Hashes of tensors that no file's header has; reads all of them. */
export function* tensorHashes(
  tensors: ReadonlyMap<string, TensorInfo>,
  read: ModelSource["read"],
): Generator<TensorHash> {
  for (const tensor of tensors.values()) {
    const content = new Sha256();
    for (const piece of read(tensor.name)) content.update(piece);
    yield { ...tensor, sha256: content.hex() };
  }
}
