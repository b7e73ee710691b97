/** Where held-out text goes as a model learns: tokens by language and expert, beside the run's metrics. */
import { existsSync, readFileSync } from "node:fs";
import { JsonLog } from "../base/log.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { ExpertCounts } from "../checkpoint/profile.ts";
import type { TrainingEngine } from "./engine.ts";
import type { ValidationRow } from "./validation.ts";

/** A line of `routing.jsonl`. */
export interface RoutingEvent {
  event: "routing";
  step: number;
  /** Held-out tokens that each expert got, with nothing dropped. */
  languages: Record<string, ExpertCounts>;
}

/** The whole lines of a file; none where there is no such file. */
export function readRouting(path: string): RoutingEvent[] {
  return linesOf(path).map(eventOf);
}

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
}

const eventOf = (line: string) => JSON.parse(line) as RoutingEvent;

export class RoutingWatch {
  private readonly log: JsonLog;
  /** The last step that was looked at; -1: none. */
  private last = -1;

  /**
   * @param every steps
   * @param step that the run stands at: what was seen after it is forgotten
   * @throws LolaError "failed" when the disk refuses
   */
  constructor(
    path: string,
    private readonly every: number,
    step: number,
  ) {
    const kept = linesOf(path).filter((line) => eventOf(line).step <= step);
    const last = kept.at(-1);
    if (last !== undefined) this.last = eventOf(last).step;
    this.log = JsonLog.open(
      path,
      kept.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
    );
  }

  /** Is it time? @param over the run has come to its end */
  due(step: number, over: boolean): boolean {
    return this.last < step && (over || step % this.every === 0);
  }

  /** Adds a line, unless it was stopped. @param names [languages] @param stopped asked between batches */
  async look(
    engine: TrainingEngine,
    rows: readonly ValidationRow[],
    names: readonly string[],
    step: number,
    stopped: () => boolean,
  ): Promise<void> {
    const languages = await routesOf(engine, rows, names, stopped);
    if (!languages) return;
    this.log.add({ event: "routing", step, languages } satisfies RoutingEvent);
    this.last = step;
  }

  close(): void {
    this.log.close();
  }
}

/** Counts all rows, as many at a time as the engine takes; undefined if it was stopped. */
async function routesOf(
  engine: TrainingEngine,
  rows: readonly ValidationRow[],
  names: readonly string[],
  stopped: () => boolean,
): Promise<RoutingEvent["languages"] | undefined> {
  const { config, buffers } = engine;
  const { batch, time } = buffers.shape;
  const mixtures = moeLayers(config);
  const counts = names.map(() => mixtures.map(() => new Array<number>(config.experts).fill(0)));
  for (let at = 0; at < rows.length; at += batch) {
    if (stopped()) return undefined;
    const some = rows.slice(at, at + batch);
    const inputs = new Uint32Array(batch * time);
    for (const [b, row] of some.entries()) inputs.set(row.inputs, b * time);
    const experts = await engine.routes(inputs);
    for (const [b, { language, targets }] of some.entries())
      for (const [i, layer] of counts[language]!.entries())
        for (let t = 0; t < time; t++)
          if (targets[t]! < config.vocabulary) layer[experts[i * batch * time + b * time + t]!]!++;
  }
  const seen = names.map((name, i) => [name, counts[i]!] as const);
  return Object.fromEntries(seen.filter(([, [first]]) => first?.some((count) => count > 0)));
}
