/** What kinds of `lola eval` have in common: a model on a device, and a journal that the next run goes on with. */
import { version } from "../base/version.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { openDevice } from "../device/choose.ts";
import type { Device } from "../device/device.ts";
import { Journal, journalOf } from "../evaluate/journal.ts";
import type { Conditions, Results, Sample } from "../evaluate/results.ts";
import type { Context } from "./context.ts";
import type { EvalFlags } from "./eval-flags.ts";
import { openNamed } from "./model.ts";

/** What is evaluated, where, and what of it was done before. */
export interface Evaluation<S extends Sample> {
  device: Device;
  source: ModelSource;
  conditions: Conditions;
  /** By id. */
  done: ReadonlyMap<string, S>;
  /** To be called with each sample that is done. */
  add: (sample: S) => void;
  signal: AbortSignal;
}

interface Plan<S extends Sample, R extends Results> {
  kind: S["kind"];
  /** What scores depend on. */
  settings: (source: ModelSource) => Conditions["settings"];
  work: (evaluation: Evaluation<S>) => Promise<R>;
}

/**
 * Opens the model, an engine and, where the results go to a file, the journal beside it; saves what the work returns.
 * @throws LolaError, DataError
 */
export async function evaluate<S extends Sample, R extends Results>(
  context: Context<Pick<EvalFlags, "model" | "device" | "threads" | "output" | "force">>,
  { kind, settings, work }: Plan<S, R>,
): Promise<R> {
  const { flags, notes } = context;
  const signal = context.cancellation();
  const source = await openNamed(flags.model, notes);
  try {
    const { device, why } = await openDevice(flags.device, flags.threads ? { threads: flags.threads } : {});
    try {
      notes.tell(why);
      const conditions: Conditions = {
        format: 1,
        version,
        model: { label: source.label, identity: source.identity },
        device: { kind: device.info.kind, name: device.info.name },
        settings: settings(source),
      };
      const path = flags.output;
      const journal = path === undefined ? undefined : Journal.open<S>(path, conditions, kind, flags);
      const done = new Map(journal?.done);
      if (done.size > 0) notes.log(`${path}: ${done.size} samples are there from before`);
      const add = (sample: S) => journal?.add(sample);
      try {
        const results = await work({ device, source, conditions, done, add, signal });
        await journal?.finish(results);
        return results;
      } catch (error) {
        journal?.close();
        if (path !== undefined && signal.aborted)
          notes.log(`stopped; the same command goes on, with the samples in ${journalOf(path)}`);
        throw error;
      }
    } finally {
      device.close();
    }
  } finally {
    notes.progress("");
    source.close();
  }
}
