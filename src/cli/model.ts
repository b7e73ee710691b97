/** Opens the model that a command line names, and the engine that runs it. Heavy parts are imported only when needed. */
import { LolaError } from "../base/errors.ts";
import type { AdapterShare } from "../checkpoint/adapter-file.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { DeviceChoice } from "../device/choose.ts";
import type { CacheType } from "../model/cache.ts";
import type { MemoryPlan } from "../model/memory.ts";
import type { Model } from "../model/open.ts";
import type { SessionOptions } from "../model/session.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { languageShares, type OffloadFlags } from "./offload.ts";
import type { Notes } from "./streams.ts";

/**
 * Opens a model for reading: by path, by name in the folder of models, or the built-in one; tells what was mended in it.
 * @throws LolaError "usage" if there is none; DataError if it is damaged
 */
export async function openNamed(name: string | undefined, notes: Notes): Promise<ModelSource> {
  const { openSource } = await import("../model/open.ts");
  const source = openSource(name ?? (await builtIn()));
  for (const note of source.notes) notes.tell(note);
  return source;
}

async function builtIn() {
  const { embeddedModel } = await import("../base/embedded.ts");
  const model = embeddedModel();
  if (model) return model;
  throw new LolaError("usage", "this build has no model inside", "-m MODEL: a .lola file, a model folder or a name");
}

/** Content hash; undefined for a folder, where it is not known without reading all of it. */
export function knownIdentity(source: ModelSource): string | undefined {
  return source.provenance.made === "published" ? undefined : source.identity;
}

export interface SessionFlags {
  ctx: number | undefined;
  cache: CacheType;
}

/** @throws LolaError "usage" for more positions than the model has */
export function sessionOptions({ label, config }: ModelSource, { ctx, cache }: SessionFlags): SessionOptions {
  if (ctx === undefined) return { cache };
  if (ctx <= config.context) return { context: ctx, cache };
  throw new LolaError("usage", `--ctx ${ctx}: ${label} has ${config.context} positions`, `--ctx ${config.context}`);
}

export interface Loaded {
  model: Model;
  /** Of the session that there is room for. */
  options: SessionOptions;
  plan: MemoryPlan;
  /** Which engine and why, in one line. */
  why: string;
  seconds: number;
}

/**
 * Opens an engine and brings the weights there; with `--memory` experts only as far as they fit.
 * @param adapters of this model
 * @throws LolaError "device" where there is no room, "usage" for a language of no profile, and for adapters of experts that take turns
 */
export async function loadOn(
  source: ModelSource,
  tokenizer: Tokenizer,
  engine: { device: DeviceChoice; threads: number | undefined } & OffloadFlags & SessionFlags,
  notes: Notes,
  adapters: readonly AdapterShare[] = [],
): Promise<Loaded> {
  const started = performance.now();
  const shares = languageShares(source, engine);
  const { openDevice } = await import("../device/choose.ts");
  const { adaptModel, loadModel } = await import("../model/open.ts");
  const { planMemory } = await import("../model/memory.ts");
  const { poolWithin } = await import("../model/offload-plan.ts");
  const { describePlan, planWithin } = await import("./memory.ts");
  const options = sessionOptions(source, engine);
  notes.progress(`loading ${source.label}`);
  try {
    const { device, why } = await openDevice(engine.device, engine.threads ? { threads: engine.threads } : {});
    const added = adapters.map(({ adapter: { adapter } }) => adapter);
    const pool = engine.memory === undefined ? undefined : poolWithin(device, source, engine.memory, options, added);
    const plan = pool
      ? planMemory(device, source, options, pool.slots, added)
      : planWithin(device, source, options, added);
    notes.tell(describePlan(plan));
    const model = adaptModel(loadModel(device, source, tokenizer, pool), adapters);
    if (shares) await pool?.warm(shares);
    return { model, options, plan, why, seconds: (performance.now() - started) / 1000 };
  } finally {
    notes.progress("");
  }
}
