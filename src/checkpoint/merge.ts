/** A model and adapters as one model: W + Σ strength · alpha / rank · A · B, tensor by tensor as it is read. */
import { DataError } from "../base/errors.ts";
import { type FloatType, fromFloats, toFloats } from "../base/float.ts";
import { Sha256 } from "../base/hash.ts";
import { isQuantType } from "../base/quant.ts";
import { version } from "../base/version.ts";
import { adapterModules } from "./adapter.ts";
import { type AdapterShare, type AdapterSource, checkBase } from "./adapter-file.ts";
import { FloatReader } from "./floats.ts";
import { identityOf, type ModelSource } from "./source.ts";
import { type TensorInfo, tensorBytes } from "./tensor.ts";

export interface MergeOptions {
  /**
   * Of the matrices that have an adapter; other tensors keep their type. Default: the base's, f32 where that is quantized.
   * What an adapter adds is small beside the weights: 16 bits, bf16's above all, may round away more of it than is well.
   */
  type?: FloatType;
}

/**
 * The model that a base with adapters is; sums are f32, stored in the base's types. All must stay open while it is read.
 * @throws DataError "adapter.base" when an adapter is for another model; "adapter.head" when it has one for the logits
 */
export function mergeAdapters(
  base: ModelSource,
  shares: readonly AdapterShare[],
  options: MergeOptions = {},
): ModelSource {
  for (const { adapter } of shares) checkMergeable(base, adapter);
  const changed = Map.groupBy(
    shares.flatMap((share) => Array.from(adapterModules(base.config, share.adapter.adapter).keys(), modulePart(share))),
    ({ weight }) => weight,
  );
  const tensors = new Map(
    Array.from(base.tensors.values(), (tensor): [string, TensorInfo] => {
      const { name, shape } = tensor;
      const own = isQuantType(tensor.type) ? "f32" : tensor.type;
      const type = changed.has(name) ? (options.type ?? own) : tensor.type;
      return [name, { name, type, shape, bytes: tensorBytes(name, type, shape) }];
    }),
  );
  const floats = new FloatReader(base);
  function* read(name: string): Generator<Uint8Array> {
    const parts = changed.get(name);
    if (parts === undefined) {
      yield* base.read(name);
      return;
    }
    const { type, shape } = tensors.get(name)!;
    const rows = productRows(
      parts.map(({ module, adapter, factor }) => ({
        ...{ a: whole(adapter, `${module}.lora_a`), b: whole(adapter, `${module}.lora_b`), factor },
      })),
      shape.at(-1)!,
    );
    yield* added(floats.read(name), rows, type as FloatType);
  }
  const hash = (name: string) => {
    const content = new Sha256();
    for (const piece of read(name)) content.update(piece);
    return content.hex();
  };
  const labels = shares
    .map(({ adapter, strength }) => adapter.label + (strength === 1 ? "" : `:${strength}`))
    .join(", ");
  const template = shares.find(({ adapter }) => adapter.template !== undefined)?.adapter.template ?? base.template;
  let identity: string | undefined;
  return {
    label: `${base.label} with ${labels}`,
    config: base.config,
    tokenizer: base.tokenizer,
    provenance: { made: "merge", from: `${base.label}, ${labels}`, version, notes: [] },
    ...(template !== undefined && { template }),
    tensors,
    notes: base.notes,
    read,
    get identity() {
      const leaves = Array.from(tensors.values(), (tensor) => ({ ...tensor, sha256: hash(tensor.name) }));
      return (identity ??= identityOf(base.config, base.tokenizer, leaves));
    },
    close() {
      base.close();
      for (const { adapter } of shares) adapter.close();
    },
  };
}

function checkMergeable(base: ModelSource, adapter: AdapterSource): void {
  checkBase(adapter, base);
  if (!adapter.adapter.targets.includes("head")) return;
  throw new DataError(
    "adapter.head",
    `${adapter.label} adds to the logits: their table is the embedding's, too, so no merged model can say that`,
    `generate --adapter ${adapter.label}`,
  );
}

/** What a share of an adapter adds to one weight. */
function modulePart({ adapter, strength }: AdapterShare) {
  const factor = (strength * adapter.adapter.alpha) / adapter.adapter.rank;
  return (module: string) => ({ module, weight: `${module}.weight`, adapter, factor });
}

/** A whole tensor of an adapter. */
function whole(adapter: AdapterSource, name: string): Float32Array {
  const { bytes } = adapter.tensors.get(name)!;
  const values = new Float32Array(bytes / 4);
  let at = 0;
  for (const piece of adapter.read(name)) {
    values.set(toFloats(piece, "f32"), at);
    at += piece.length / 4;
  }
  return values;
}

/** Rows of Σ factor · a · b; each is valid until the next one is asked for. */
function productRows(
  products: readonly { a: Float32Array; b: Float32Array; factor: number }[],
  cols: number,
): (row: number) => Float64Array {
  const sums = new Float64Array(cols);
  return (row) => {
    sums.fill(0);
    for (const { a, b, factor } of products) {
      const rank = b.length / cols;
      for (let r = 0; r < rank; r++) {
        const by = factor * a[row * rank + r]!;
        const from = r * cols;
        for (let n = 0; n < cols; n++) sums[n]! += by * b[from + n]!;
      }
    }
    return sums;
  };
}

/** Pieces of a matrix, whose rows may begin and end anywhere in them, with the other rows added. */
function* added(
  pieces: Iterable<Float32Array>,
  rowOf: (row: number) => Float64Array,
  type: FloatType,
): Generator<Uint8Array> {
  let [row, more] = [0, rowOf(0)];
  let col = 0;
  for (const piece of pieces) {
    const sums = new Float32Array(piece.length);
    for (let i = 0; i < piece.length; i++) {
      if (col === more.length) {
        more = rowOf(++row);
        col = 0;
      }
      sums[i] = piece[i]! + more[col++]!;
    }
    yield fromFloats(sums, type);
  }
}
