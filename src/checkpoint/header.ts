/** The head of a `.lola` file: the fixed preamble and the table of contents, with every rule of FORMAT.md checked. */
import { DataError } from "../base/errors.ts";
import { floatBytes } from "../base/float.ts";
import { sha256 } from "../base/hash.ts";
import { isQuantType } from "../base/quant.ts";
import type { ByteSource } from "./bytes.ts";
import { alignment, type Chunk, codecs, maximumChunk, padded } from "./chunk.ts";
import { asCount, asHex, asList, asMap, asString } from "./fields.ts";
import { decode, encode } from "./msgpack.ts";
import { checkName, isTensorType, type TensorInfo, tensorBytes } from "./tensor.ts";

/** 0x89 "LOLA" and a line feed: text-mode transfers damage it. The version follows as 16 bits. */
export const magic = Uint8Array.of(0x89, 0x4c, 0x4f, 0x4c, 0x41, 0x0a);
export const formatVersion = 1;
/** Where chunks begin; the preamble fills 56 bytes of it, the rest is zero. */
export const preambleBytes = alignment;
export const maximumHeader = 16 << 20;

/** Required features that this reader knows. `quantized`: some tensor is of a quantized type. */
const knownFeatures: readonly string[] = ["quantized"];

/**
 * Optional features that this reader knows; each is a field of `meta` of the same name. `routing`: a routing profile;
 * `template`: how conversations are written.
 */
const optionalFeatures: readonly string[] = ["routing", "template"];

/** Features that a reader of these tensors has to know. */
function featuresOf(tensors: Iterable<TensorInfo>): string[] {
  return Array.from(tensors).some(({ type }) => isQuantType(type)) ? ["quantized"] : [];
}

export interface StoredTensor extends TensorInfo {
  /** SHA-256 of the content, a leaf of the model's identity. */
  sha256: string;
  chunks: Chunk[];
}

export interface Contents {
  /** What the file holds: "model" or "checkpoint". */
  kind: string;
  /** What belongs to that kind: checked by its reader, not here. */
  meta: unknown;
  /** In the order of the file. */
  tensors: Map<string, StoredTensor>;
  /** Optional features: fields that `meta` may have beyond those of its kind. */
  optional: string[];
  /** Those of them that this reader does not know. */
  unknown: string[];
}

/** One chunk as the header lists it: codec, stored length, raw length, hash. Its offset follows from those before it. */
type ChunkRow = [codec: string, stored: number, raw: number, hash: string];
type TensorRow = [name: string, type: string, shape: number[], sha256: string, chunks: ChunkRow[]];

/** The header's bytes. */
export function encodeContents(kind: string, meta: object, tensors: readonly StoredTensor[]): Uint8Array {
  const rows = tensors.map(
    (t): TensorRow => [
      t.name,
      t.type,
      t.shape,
      t.sha256,
      t.chunks.map((c): ChunkRow => [c.codec, c.stored, c.raw, c.hash]),
    ],
  );
  const optional = optionalFeatures.filter((name) => Object.hasOwn(meta, name));
  return encode({ kind, meta, optional, required: featuresOf(tensors), tensors: rows });
}

/** The first 256 bytes of a file whose header is `header`, at `offset`. */
export function encodePreamble(header: Uint8Array, offset: number): Uint8Array {
  const bytes = new Uint8Array(preambleBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint16(6, formatVersion, true);
  view.setBigUint64(8, BigInt(offset), true);
  view.setBigUint64(16, BigInt(header.length), true);
  bytes.set(Uint8Array.fromHex(sha256(header)), 24);
  return bytes;
}

/** Whether bytes begin as a `.lola` file does, of whatever version. */
export function hasMagic(bytes: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/**
 * Reads and checks everything but the chunks themselves; allocates no more than the header's own length claims, and that is checked first.
 * @throws DataError "file.…", "header.…", "tensor.…", "chunk.…"
 */
export function readContents(source: ByteSource): Contents {
  const { offset, bytes } = readHeader(source);
  const header = asMap(decode(bytes), "header", ["kind", "meta", "optional", "required", "tensors"]);
  const kind = asString(header.kind, "kind");
  const required = asList(header.required, "required").map((name) => asString(name, "required"));
  const missing = required.find((name) => !knownFeatures.includes(name));
  if (missing !== undefined) {
    throw new DataError(
      "header.feature",
      `${source.label} needs the feature ${JSON.stringify(missing)}`,
      "a newer lola",
    );
  }
  const optional = asList(header.optional, "optional").map((name) => asString(name, "optional"));
  const unknown = optional.filter((name) => !optionalFeatures.includes(name));
  const tensors = new Map<string, StoredTensor>();
  let end = preambleBytes;
  for (const row of asList(header.tensors, "tensors")) {
    const tensor = readTensor(row, end);
    if (tensors.has(tensor.name)) throw new DataError("tensor.double", `${tensor.name} is listed twice`);
    tensors.set(tensor.name, tensor);
    const last = tensor.chunks.at(-1)!;
    end = last.offset + padded(last.stored);
  }
  if (end !== offset) {
    throw new DataError("file.cover", `${source.label}: the chunks end at ${end}, the header begins at ${offset}`);
  }
  const needed = featuresOf(tensors.values());
  if (required.join() !== needed.join())
    throw new DataError(
      "header.required",
      `${source.label} requires ${JSON.stringify(required)}, its tensors ${JSON.stringify(needed)}`,
    );
  return { kind, meta: header.meta, tensors, optional, unknown };
}

function readHeader(source: ByteSource): { offset: number; bytes: Uint8Array } {
  const { label, size } = source;
  if (size < preambleBytes) throw new DataError("file.truncated", `${label}: ${size} bytes are no .lola file`);
  const reader = source.reader();
  const preamble = reader(0, preambleBytes).slice();
  if (!hasMagic(preamble))
    throw new DataError("file.magic", `${label} is no .lola file`, "lola import DIR -o model.lola");
  const view = new DataView(preamble.buffer);
  const version = view.getUint16(6, true);
  if (version !== formatVersion) {
    throw new DataError(
      "file.version",
      `${label} has format version ${version}, this program reads ${formatVersion}`,
      "a newer lola",
    );
  }
  if (preamble.subarray(56).some((byte) => byte !== 0))
    throw new DataError("file.padding", `${label}: bytes 56 to 256 are not zero`);
  const offset = view.getBigUint64(8, true);
  const length = view.getBigUint64(16, true);
  if (length > maximumHeader)
    throw new DataError("header.length", `${label}: a header of ${length} bytes, at most ${maximumHeader}`);
  if (offset < preambleBytes || offset + length !== BigInt(size)) {
    throw new DataError(
      "file.truncated",
      `${label}: header at ${offset}, ${length} bytes, in a file of ${size}`,
      "get the file again",
    );
  }
  const bytes = reader(Number(offset), Number(length));
  if (sha256(bytes) !== preamble.subarray(24, 56).toHex()) {
    throw new DataError(
      "header.hash",
      `${label}: the header does not have its hash`,
      "get the file again: it is damaged",
    );
  }
  return { offset: Number(offset), bytes };
}

function readTensor(row: unknown, start: number): StoredTensor {
  const [name, type, dimensions, hash, rows] = asList(row, "tensor", 5);
  const label = asString(name, "tensor name");
  checkName(label);
  if (!isTensorType(type))
    throw new DataError("tensor.type", `${label}: element type ${JSON.stringify(type)?.slice(0, 40)} is not known`);
  const shape = asList(dimensions, `${label} shape`).map((size) => asCount(size, `${label} shape`));
  const bytes = tensorBytes(label, type, shape);
  let [offset, raw] = [start, 0];
  const chunks = asList(rows, `${label} chunks`).map((item, i): Chunk => {
    const chunk = readChunk(item, offset, `${label} chunk ${i}`);
    if (raw % alignment !== 0)
      throw new DataError("chunk.length", `${label} chunk ${i - 1}: only the last may end off ${alignment} bytes`);
    offset += padded(chunk.stored);
    raw += chunk.raw;
    return chunk;
  });
  if (raw !== bytes) throw new DataError("tensor.length", `${label}: its chunks hold ${raw} bytes, its shape ${bytes}`);
  return { name: label, type, shape, bytes, sha256: asHex(hash, 64, label), chunks };
}

function readChunk(row: unknown, offset: number, where: string): Chunk {
  const [name, stored, raw, hash] = asList(row, where, 4);
  const codec = codecs.find((known) => known === name);
  if (codec === undefined)
    throw new DataError("chunk.codec", `${where}: codec ${JSON.stringify(name)?.slice(0, 40)} is not known`);
  const chunk = {
    codec,
    offset,
    stored: asCount(stored, where),
    raw: asCount(raw, where),
    hash: asHex(hash, 16, where),
  };
  const fits = codec === "raw" ? chunk.stored === chunk.raw : chunk.stored < chunk.raw;
  if (chunk.raw < 1 || chunk.raw > maximumChunk || chunk.stored < 1 || !fits) {
    throw new DataError(
      "chunk.length",
      `${where}: ${chunk.stored} stored and ${chunk.raw} raw bytes as ${codec}, at most ${maximumChunk}`,
    );
  }
  return chunk;
}

/** Width of the byte planes of a tensor's chunks; words of codes have none. */
export function planeWidth({ type }: Pick<TensorInfo, "type">): number {
  return isQuantType(type) ? 1 : floatBytes[type];
}
