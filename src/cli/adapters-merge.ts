/** What `lola merge` does: base and adapters → one file, which appears once it has been held against both. */
import { existsSync, statSync } from "node:fs";
import { LolaError } from "../base/errors.ts";
import type { FloatType } from "../base/float.ts";
import { isQuantType } from "../base/quant.ts";
import { adapterModules } from "../checkpoint/adapter.ts";
import type { AdapterShare } from "../checkpoint/adapter-file.ts";
import { inOrder } from "../checkpoint/layout.ts";
import { saveLola } from "../checkpoint/lola-file.ts";
import { mergeAdapters } from "../checkpoint/merge.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { TensorStream, TensorType } from "../checkpoint/tensor.ts";
import { type DeviceChoice, openDevice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { checkMerged, type Expected, type MergeCheck, readAdapted } from "../evaluate/merged.ts";
import { adaptModel, loadModel, openSource } from "../model/open.ts";
import { adaptersJson, openAdapted } from "./adapters.ts";
import type { Merged } from "./adapters-show.ts";
import type { Context } from "./context.ts";
import type { Notes } from "./streams.ts";

export interface MergeFlags {
  model: string | undefined;
  adapter: string[];
  dtype: FloatType | undefined;
  force: boolean;
  device: DeviceChoice;
  threads: number | undefined;
}

/** Merges what the flags name into a file. @throws LolaError, DataError; then there is no file */
export async function mergeInto(path: string, context: Context<MergeFlags>): Promise<Merged> {
  const started = performance.now();
  const { flags, notes } = context;
  if (existsSync(path) && !flags.force)
    throw new LolaError("usage", `${path} exists`, "--force to replace it, or another -o FILE");
  const { source, adapters, close } = await openAdapted(flags.model, flags.adapter, notes);
  try {
    const signal = context.cancellation();
    const options = flags.dtype ? { type: flags.dtype } : {};
    const merged = mergeAdapters(source, adapters, options);
    // Of the same types with nothing added: what differs from it, the adapters changed.
    const alone = mergeAdapters(source, withStrength(adapters, 0), options);
    const names = changedNames(source, adapters);
    const dequantized = names.filter((name) => isQuantType(source.tensors.get(name)!.type)).length;
    const type = coarsest(names.map((name) => merged.tensors.get(name)!.type));
    if (names.every((name) => sameContent(merged.read(name), alone.read(name)))) throw unchanged(merged, type);

    notes.progress("reading the base with its adapters");
    const { expected, device } = await onDevice(flags, async (device) => {
      // Engines round rows on their way into quantized matrices, which is nothing that merging could keep.
      const plain = loadModel(device, dequantized > 0 ? alone : source);
      const { kind, name } = device.info;
      return { expected: await readAdapted(plain, adaptModel(plain, adapters)), device: { kind, name } };
    });
    let check: MergeCheck | undefined;
    const { config, tokenizer, provenance, template } = merged;
    const meta = { config, tokenizer, provenance, ...(template !== undefined && { template }) };
    const accept = async (file: string) => {
      notes.progress("holding the merged model against it");
      check = await onDevice(flags, (device) => checkFile(file, device, expected, type));
    };
    const tensors = streams(merged, notes, signal);
    const identity = await saveLola(path, { ...meta, tensors }, { store: "raw", accept });
    return {
      ...{ model: source.label, adapters: adaptersJson(adapters), path, identity, fileBytes: statSync(path).size },
      ...{ changed: names.length, dequantized, type, check: check!, device },
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    notes.progress("");
    close();
  }
}

const withStrength = (adapters: readonly AdapterShare[], strength: number) =>
  adapters.map(({ adapter }) => ({ adapter, strength }));

function changedNames({ config }: ModelSource, adapters: readonly AdapterShare[]): string[] {
  const modules = adapters.flatMap(({ adapter }) => [...adapterModules(config, adapter.adapter).keys()]);
  return [...new Set(modules)].map((module) => `${module}.weight`);
}

/** The type that rounds most. */
function coarsest(types: readonly TensorType[]): FloatType {
  return (["bf16", "f16"] as const).find((type) => types.includes(type)) ?? "f32";
}

/** Up to the first piece that differs. */
function sameContent(a: Iterable<Uint8Array>, b: Iterable<Uint8Array>): boolean {
  const others = b[Symbol.iterator]();
  for (const piece of a) {
    const { value } = others.next();
    if (!value || Buffer.compare(piece, value) !== 0) return false;
  }
  return true;
}

function unchanged({ label }: ModelSource, type: FloatType): LolaError {
  const hint = type === "f32" ? "an adapter that was trained" : "--dtype f32, or an adapter that was trained longer";
  return new LolaError(
    "failed",
    `${label}: merging changes nothing: what is added is 0, or too small for ${type}`,
    hint,
  );
}

async function* streams(merged: ModelSource, notes: Notes, signal: AbortSignal): AsyncGenerator<TensorStream> {
  const tensors = inOrder(merged);
  for (const [i, { name, type, shape }] of tensors.entries()) {
    // Signals are heard between tensors.
    await new Promise(setImmediate);
    signal.throwIfAborted();
    notes.progress(`merging, ${Math.floor((100 * i) / tensors.length)} %`);
    yield { name, type, shape, pieces: merged.read(name) };
  }
}

async function checkFile(file: string, device: Device, expected: Expected, type: FloatType): Promise<MergeCheck> {
  const source = openSource(file);
  try {
    return await checkMerged(loadModel(device, source), expected, type);
  } finally {
    source.close();
  }
}

/** One engine at a time, so that only one model is in memory. */
async function onDevice<T>({ device: choice, threads }: MergeFlags, work: (device: Device) => Promise<T>): Promise<T> {
  const { device } = await openDevice(choice, threads ? { threads } : {});
  try {
    return await work(device);
  } finally {
    device.close();
  }
}
