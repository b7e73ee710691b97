/** How fast a run goes, and what energy it takes, told every few seconds. */
import { EnergyMeter } from "./energy.ts";
import type { SpeedEvent } from "./events.ts";

/** Seconds between two events. */
const interval = 5;

export class Stopwatch {
  private readonly meter = new EnergyMeter();
  private started = performance.now();
  private from: number | undefined;

  /** @param tokens of one step */
  constructor(
    private readonly tokens: number,
    private readonly onSpeed: (event: SpeedEvent) => void,
  ) {}

  /** Told of each step that is done; tells when there is something new and it is time, or the end. */
  lap(step: number, end: boolean): void {
    this.from ??= step;
    const seconds = (performance.now() - this.started) / 1000;
    if (step === this.from || (seconds < interval && !end)) return;
    const joules = this.meter.lap();
    const tokensPerSecond = ((step - this.from) * this.tokens) / seconds;
    this.onSpeed({ event: "speed", step, tokensPerSecond, ...(joules !== undefined && { joules }) });
    this.started = performance.now();
    this.from = step;
  }
}
