/** A model without some of its experts, read from the model that it was made from. */
import { moeLayers } from "../checkpoint/config.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import type { RoutingProfile } from "../checkpoint/profile.ts";
import { identityOf, type ModelSource, type Provenance, tensorHashes } from "../checkpoint/source.ts";
import { type TensorInfo, tensorBytes } from "../checkpoint/tensor.ts";

/** What becomes of the experts. */
export interface ExpertChange {
  /** [MoE layer]: old numbers, ascending, as many in each layer. */
  kept: readonly (readonly number[])[];
  /** Weights that are others now, by their new names; all else is copied as it is stored. */
  changed: ReadonlyMap<string, Float32Array>;
  /** Of the kept experts. */
  routing: RoutingProfile;
  provenance: Provenance;
}

/** Where a tensor of the new model comes from. */
interface Origin {
  name: string;
  /** Rows of a gate that stay. */
  rows?: readonly number[];
}

/** Closes its source when it is closed. */
export function withoutExperts(source: ModelSource, change: ExpertChange): ModelSource {
  const { kept, changed, routing, provenance } = change;
  const { label, tokenizer, template, notes } = source;
  const config = { ...source.config, experts: kept[0]!.length };
  const origins = new Map<string, Origin>();
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shape] of expectedTensors(config)) {
    const origin = originOf(name, new Map(moeLayers(config).map((layer, i) => [layer, kept[i]!])));
    const type = changed.has(name) ? "f32" : source.tensors.get(origin.name)!.type;
    origins.set(name, origin);
    tensors.set(name, { name, type, shape, bytes: tensorBytes(name, type, shape) });
  }
  const read: ModelSource["read"] = (name) => {
    const own = changed.get(name);
    if (own) return [new Uint8Array(own.buffer, own.byteOffset, own.byteLength)];
    const { name: old, rows } = origins.get(name)!;
    return rows ? [rowsOf(source, old, rows)] : source.read(old);
  };
  let identity: string | undefined;
  return {
    ...{ label, config, tokenizer, provenance, tensors, notes, routing, read },
    ...(template !== undefined && { template }),
    get identity() {
      return (identity ??= identityOf(config, tokenizer, tensorHashes(tensors, read)));
    },
    close: () => source.close(),
  };
}

function originOf(name: string, kept: ReadonlyMap<number, readonly number[]>): Origin {
  const [, layer, expert] = /^h\.(\d+)\.moe\.(?:gate|experts\.(\d+))\./.exec(name) ?? [];
  if (layer === undefined) return { name };
  const rows = kept.get(Number(layer))!;
  if (expert === undefined) return { name, rows };
  return { name: name.replace(/(?<=\.experts\.)\d+/, `${rows[Number(expert)]!}`) };
}

/** Some rows of a stored matrix of floats. */
function rowsOf(source: ModelSource, name: string, rows: readonly number[]): Uint8Array {
  const { shape, bytes } = source.tensors.get(name)!;
  const all = Buffer.concat(Array.from(source.read(name), (piece) => Buffer.from(piece)));
  const size = bytes / shape[0]!;
  return Buffer.concat(rows.map((row) => all.subarray(row * size, (row + 1) * size)));
}
