/** safetensors files: a checked header, tensors read piece by piece, and writing them (format: huggingface/safetensors README). */
import type { Output } from "../base/atomic.ts";
import { DataError } from "../base/errors.ts";
import type { FloatType } from "../base/float.ts";
import { type ByteSource, fileBytes, type Reader } from "./bytes.ts";
import type { TensorInfo } from "./tensor.ts";

/** Bytes of one element, for every type that the format knows and that has whole bytes. */
const elementBytes: Record<string, number> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};
const floatTypes: Record<string, FloatType> = { F32: "f32", F16: "f16", BF16: "bf16" };

/** The reference reader allows 100 MB; 16 MiB hold 100,000 tensors. */
const maximumHeader = 16 << 20;
const pieceBytes = 4 << 20;

export interface SafeTensor {
  /** As the file spells it, for example "F32". */
  dtype: string;
  /** The same as one of ours, if it is. */
  type: FloatType | undefined;
  shape: number[];
  bytes: number;
  /** Pieces of at most 4 MiB with whole elements, valid until the next step. */
  read(): Generator<Uint8Array>;
}

export interface SafeTensorsFile {
  tensors: Map<string, SafeTensor>;
  close(): void;
}

/**
 * Opens a safetensors file and checks its whole table against the file's length: spans contiguous, without holes or overlaps, sizes as shapes say.
 * @throws DataError "safetensors.…"
 */
export function openSafeTensors(path: string): SafeTensorsFile {
  const source = fileBytes(path);
  try {
    return { tensors: readTable(source), close: () => source.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}

function readTable(source: ByteSource): Map<string, SafeTensor> {
  const { label, size } = source;
  const fail = (code: string, what: string, hint?: string) =>
    new DataError(`safetensors.${code}`, `${label}: ${what}`, hint);
  if (size < 8) throw fail("truncated", `${size} bytes are no safetensors file`, "download it again");
  const reader = source.reader();
  const length = new DataView(reader(0, 8).slice().buffer).getBigUint64(0, true);
  if (length > maximumHeader)
    throw fail("header", `a header of ${length} bytes, at most ${maximumHeader}: this is no safetensors file`);
  const start = 8 + Number(length);
  if (start > size)
    throw fail("truncated", `the header needs ${start} bytes, the file has ${size}`, "download it again");
  const header = parseHeader(reader(8, Number(length)), fail);

  // Buffers of readers that are done, for the next ones.
  const idle: Reader[] = [];
  const spans: { name: string; from: number; to: number }[] = [];
  const tensors = new Map<string, SafeTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
    const width = typeof dtype === "string" && Object.hasOwn(elementBytes, dtype) ? elementBytes[dtype]! : 0;
    if (!width) throw fail("dtype", `${name} has the element type ${String(JSON.stringify(dtype)).slice(0, 40)}`);
    if (!isCounts(shape)) throw fail("shape", `${name} has no proper shape`);
    if (!isCounts(offsets) || offsets.length !== 2) throw fail("offsets", `${name} has no proper data_offsets`);
    const [from, to] = offsets as [number, number];
    const bytes = shape.reduce((product, n) => product * n, width);
    if (!Number.isSafeInteger(bytes) || to - from !== bytes) {
      throw fail("offsets", `${name}: ${dtype} [${shape.join(", ")}] takes ${bytes} bytes, its span ${to - from}`);
    }
    spans.push({ name, from, to });
    tensors.set(name, {
      dtype: dtype as string,
      type: floatTypes[dtype as string],
      shape,
      bytes,
      read: () => readSpan(source, start + from, bytes, idle),
    });
  }
  spans.sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  for (const { name, from, to } of spans) {
    if (from !== end) throw fail("offsets", `${name} begins at ${from}, the tensor before it ends at ${end}`);
    end = to;
  }
  if (start + end !== size) {
    throw fail("truncated", `the tensors end at byte ${start + end}, the file at ${size}`, "download it again");
  }
  return tensors;
}

function parseHeader(bytes: Uint8Array, fail: (code: string, what: string) => DataError): object {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw fail("header", "the header is no JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    throw fail("header", "the header is no JSON object");
  return header;
}

function* readSpan(source: ByteSource, start: number, bytes: number, idle: Reader[]): Generator<Uint8Array> {
  const reader = idle.pop() ?? source.reader();
  try {
    for (let at = 0; at < bytes; at += pieceBytes) yield reader(start + at, Math.min(pieceBytes, bytes - at));
  } finally {
    idle.push(reader);
  }
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** Writes one safetensors file; contents are asked for in the order of the plan. */
export function writeSafeTensors<T extends TensorInfo & { type: FloatType }>(
  output: Output,
  plan: readonly T[],
  read: (tensor: T) => Iterable<Uint8Array>,
): void {
  let end = 0;
  const entries = plan.map(({ name, type, shape, bytes }) => {
    const span = [end, (end += bytes)];
    return [name, { dtype: type.toUpperCase(), shape, data_offsets: span }] as const;
  });
  const text = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  // Data begins at a multiple of 8, as the reference writer has it.
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  output.write(length);
  output.write(header);
  for (const tensor of plan) for (const piece of read(tensor)) output.write(piece);
}
