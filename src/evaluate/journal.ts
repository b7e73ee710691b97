/** An evaluation that can be stopped anywhere: each sample is on disk when it is done, and the next run goes on behind it. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { LolaError } from "../base/errors.ts";
import { JsonLog } from "../base/log.ts";
import { areConditions, type Conditions, isSample, type Results, type Sample, saveResults } from "./results.ts";

/** Samples done, in `PATH.partial` until the results are saved in PATH. */
export class Journal<S extends Sample> {
  private constructor(
    private readonly path: string,
    private readonly log: JsonLog,
    /** By id, of earlier runs and this one. */
    readonly done: Map<string, S>,
  ) {}

  /**
   * Goes on with what an earlier run left in PATH or in its journal, or begins.
   * @param force begin anew, over what is there
   * @throws LolaError "usage" where that was made by another model, under other settings or on another device
   */
  static open<S extends Sample>(
    path: string,
    conditions: Conditions,
    kind: S["kind"],
    { force = false } = {},
  ): Journal<S> {
    const partial = journalOf(path);
    if (force) for (const old of [partial, path]) rmSync(old, { force: true });
    const done = new Map<string, S>();
    for (const from of [path, partial]) {
      if (!existsSync(from)) continue;
      const { head, samples } = read(from, from === path);
      if (head === undefined) continue;
      checkSame(from, head, conditions);
      for (const sample of samples) if (sample.kind === kind) done.set(sample.id, sample as S);
    }
    const log = JsonLog.open(partial);
    if (log.length === 0) log.add(conditions);
    return new Journal(path, log, done);
  }

  add(sample: S): void {
    this.done.set(sample.id, sample);
    this.log.add(sample);
  }

  /** Saves the results; the journal is needed no more. @throws LolaError "failed" when the disk refuses */
  async finish(results: Results): Promise<void> {
    await saveResults(this.path, results);
    this.log.close();
    rmSync(journalOf(this.path), { force: true });
  }

  /** Leaves the journal for another run. */
  close(): void {
    this.log.sync();
    this.log.close();
  }
}

/** Where the samples of unfinished results are. */
export const journalOf = (path: string) => `${path}.partial`;

interface Found {
  head: Conditions | undefined;
  samples: Sample[];
}

/** @param whole one JSON value, not lines */
function read(path: string, whole: boolean): Found {
  const text = readFileSync(path, "utf8");
  const wrong = () => new LolaError("usage", `${path} is there, and no results of lola eval`, "another -o FILE");
  const parse = (part: string): unknown => {
    try {
      return JSON.parse(part);
    } catch {
      throw wrong();
    }
  };
  // Behind the last line end is what a process that was killed had no time to finish.
  const [head, ...samples] = whole ? headAndSamples(parse(text)) : text.split("\n").slice(0, -1).map(parse);
  if (head === undefined && !whole) return { head: undefined, samples: [] };
  if (!areConditions(head) || !samples.every(isSample)) throw wrong();
  return { head, samples };
}

function headAndSamples(value: unknown): unknown[] {
  const { samples } = (value ?? {}) as { samples?: unknown };
  return [value, ...(Array.isArray(samples) ? samples : [])];
}

/** @throws LolaError "usage" naming what differs */
function checkSame(path: string, before: Conditions, now: Conditions): void {
  const differs = differing(before, now);
  if (differs === undefined) return;
  const [name, was, is] = differs;
  throw new LolaError(
    "usage",
    `${path} was made with ${name} ${was}, not ${is}`,
    "--force to begin anew, or another -o FILE",
  );
}

function differing(a: Conditions, b: Conditions): [name: string, was: string, is: string] | undefined {
  const shown = ({ model: { label, identity } }: Conditions) => `${label} (${identity.slice(0, 12)})`;
  const where = ({ device: { kind, name } }: Conditions) => `${kind}: ${name}`;
  if (a.model.identity !== b.model.identity) return ["the model", shown(a), shown(b)];
  if (a.version !== b.version) return ["lola", a.version, b.version];
  if (!isDeepStrictEqual(a.device, b.device)) return ["the device", where(a), where(b)];
  const names = new Set([...Object.keys(a.settings), ...Object.keys(b.settings)]);
  const name = [...names].find((key) => a.settings[key] !== b.settings[key]);
  return name === undefined ? undefined : [name, `${a.settings[name] ?? "unset"}`, `${b.settings[name] ?? "unset"}`];
}
