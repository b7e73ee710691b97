/** `--adapter`: adapters that a command line names, opened and held against the model that they are for. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DataError, LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import type { AdapterShare, AdapterSource } from "../checkpoint/adapter-file.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { openNamed } from "./model.ts";
import type { Notes } from "./streams.ts";
import type { Flags } from "./table.ts";

export const adapterFlag = {
  adapter: {
    type: "list",
    value: "ADAPTER",
    doc: "add an adapter: its file, its run's folder, or PEFT's; ADAPTER:0.5 adds half of it",
    category: "Model and engine",
  },
} as const satisfies Flags;

export interface Adapted {
  source: ModelSource;
  adapters: AdapterShare[];
  /** Closes all of them. */
  close(): void;
}

/**
 * Opens a model, and adapters of it.
 * @param model default: where there are adapters, the model that the first is for, wherever it is found; else the built-in one
 * @throws LolaError "usage" for one that is not there; DataError "adapter.base" for an adapter of another model
 */
export async function openAdapted(model: string | undefined, named: readonly string[], notes: Notes): Promise<Adapted> {
  const open: { close(): void }[] = [];
  const close = () => {
    for (const one of open.splice(0)) one.close();
  };
  const kept = <T extends { close(): void }>(one: T): T => {
    open.push(one);
    return one;
  };
  try {
    const wanted = named.map(readShare);
    const bound = await Promise.all(
      wanted.map(async ({ path }) => (isPeft(path) ? undefined : kept(await openAdapterAt(path)))),
    );
    const first = bound.find((adapter) => adapter !== undefined);
    const source = kept(model === undefined && first ? await openBase(first) : await openNamed(model, notes));
    const { checkBase } = await import("../checkpoint/adapter-file.ts");
    const { importPeft } = await import("../checkpoint/peft.ts");
    const adapters = wanted.map(({ path, strength }, i) => {
      const adapter = bound[i] ?? kept(importPeft(path, source, version));
      checkBase(adapter, source);
      return { adapter, strength };
    });
    return { source, adapters, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** `PATH` or `PATH:0.5`; a name without a path is of the folder of models. @throws LolaError "usage" */
function readShare(text: string): { path: string; strength: number } {
  const [, before = "", number] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? [];
  if (number === undefined || existsSync(text)) return { path: text, strength: 1 };
  return { path: before, strength: Number(number) };
}

/** Is it a folder as PEFT writes it? */
export function isPeft(path: string): boolean {
  return existsSync(join(path, "adapter_config.json"));
}

/** The file that a path or a name of an adapter stands for, and what kind of container it is; undefined: none. */
async function containerAt(named: string): Promise<{ file: string; kind: string | undefined }> {
  const { modelPath } = await import("../checkpoint/models.ts");
  const { fileBytes } = await import("../checkpoint/bytes.ts");
  const { openContainer } = await import("../checkpoint/container.ts");
  const { hasMagic } = await import("../checkpoint/header.ts");
  const path = modelPath(named);
  // Of a run: the best on held-out data, before the first validation the newest.
  const file = ["best.lola", "last.lola"].map((name) => join(path, "checkpoints", name)).find(existsSync) ?? path;
  if (existsSync(file) && statSync(file).isDirectory()) return { file, kind: undefined };
  const bytes = fileBytes(file);
  if (!hasMagic(bytes.reader()(0, Math.min(16, bytes.size)))) {
    bytes.close();
    return { file, kind: undefined };
  }
  const { kind, close } = openContainer(bytes);
  close();
  return { file, kind };
}

const tuningKind = "tuning";

/** Is it an adapter's file, or a run's folder that holds one? @throws LolaError "usage" where there is nothing */
export async function holdsAdapter(named: string): Promise<boolean> {
  const { adapterKind } = await import("../checkpoint/adapter-file.ts");
  const { kind } = await containerAt(named);
  return kind === adapterKind || kind === tuningKind;
}

/**
 * The adapter in a file, or the one that a run has to show.
 * @throws LolaError "usage" where there is nothing; DataError for what is no adapter
 */
export async function openAdapterAt(named: string): Promise<AdapterSource> {
  const { fileBytes } = await import("../checkpoint/bytes.ts");
  const { adapterKind, openAdapter } = await import("../checkpoint/adapter-file.ts");
  const { file, kind } = await containerAt(named);
  if (kind === adapterKind) return openAdapter(fileBytes(file));
  const adapter = kind === tuningKind ? await openNewest(file) : undefined;
  if (adapter) return adapter;
  if (kind === undefined)
    throw new DataError(
      "adapter.file",
      `${named} holds no adapter`,
      "an adapter's file, a run's folder, PEFT's folder",
    );
  const says = kind === tuningKind ? "trains tensors of the model itself" : "holds a whole model";
  throw new DataError("header.kind", `${file} ${says}, no adapter`, `-m ${named}`);
}

/** The adapter in the state of a run; undefined where the run trains something else. */
async function openNewest(path: string): Promise<AdapterSource | undefined> {
  const { openTuning } = await import("../train/tuning.ts");
  const { adapter, weights, base, provenance, template, close } = openTuning(path);
  if (!adapter) {
    close();
    return undefined;
  }
  const { tensors, read } = weights;
  return { label: path, adapter, base, provenance, ...(template !== undefined && { template }), tensors, read, close };
}

/** The model that an adapter is for: the built-in one, a stored one, or what its record names. @throws LolaError "usage" */
async function openBase({ label, base }: AdapterSource): Promise<ModelSource> {
  const { openSource } = await import("../model/open.ts");
  const { embeddedModel } = await import("../base/embedded.ts");
  const { listModels } = await import("../checkpoint/models.ts");
  const stored = listModels().filter(({ identity }) => identity === base.identity);
  for (const candidate of [embeddedModel(), ...stored.map(({ path }) => path), base.name]) {
    if (candidate === undefined || (candidate === base.name && !existsSync(base.name))) continue;
    const source = openSource(candidate);
    if (source.identity === base.identity) return source;
    source.close();
  }
  throw new LolaError(
    "usage",
    `${label} is for the model ${base.name} (${base.identity.slice(0, 12)}…), which is neither built in nor stored here`,
    "-m MODEL",
  );
}

/** As --json tells them. */
export function adaptersJson(adapters: readonly AdapterShare[]): { name: string; strength: number }[] {
  return adapters.map(({ adapter, strength }) => ({ name: adapter.label, strength }));
}
