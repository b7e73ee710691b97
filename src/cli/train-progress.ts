/** What a training run shows while it runs: a line that moves in a terminal, and one that stays for each validation. */
import type { StepEvent, TrainingEvent, ValidationEvent } from "../train/events.ts";
import type { Notes } from "./streams.ts";
import { grouped } from "./style.ts";

const blocks = "▁▂▃▄▅▆▇█";
/** Columns of the small curve. */
const curveWidth = 24;
const mostLosses = 4096;
/** Share of a new step in the running time of a step. */
const weight = 0.1;

/** The whole history as a row of blocks, each the mean of its part; the highest value full, the lowest empty. */
export function sparkline(values: readonly number[], width: number): string {
  const real = values.filter(Number.isFinite);
  const columns = Math.min(width, real.length);
  const means = Array.from({ length: columns }, (_, c) => {
    const part = real.slice(Math.floor((c * real.length) / columns), Math.floor(((c + 1) * real.length) / columns));
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
  const low = Math.min(...means);
  const span = Math.max(...means) - low;
  return means.map((m) => blocks[span > 0 ? Math.round(((m - low) / span) * (blocks.length - 1)) : 0]).join("");
}

/** 45 → "45 s", 754 → "12 min", 9000 → "2.5 h". */
export function duration(seconds: number): string {
  if (seconds < 99) return `${Math.round(seconds)} s`;
  if (seconds < 99 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 72 * 3600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

export class Progress {
  private losses: number[] = [];
  private seen = 0;
  private every = 1;
  /** Of one step. */
  private tokens = 0;
  private last: StepEvent | undefined;
  private bits: number | undefined;
  /** Running mean of the seconds between steps; of the first step there is none. */
  private pace: number | undefined;
  private before: number | undefined;

  constructor(
    private readonly notes: Notes,
    private readonly steps: number,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {}

  see(event: TrainingEvent): void {
    if (event.event === "step") this.step(event);
    else if (event.event === "validation") this.validation(event);
  }

  private step(event: StepEvent): void {
    const time = this.now();
    if (this.before !== undefined) {
      const taken = time - this.before;
      this.pace = this.pace === undefined ? taken : (1 - weight) * this.pace + weight * taken;
    }
    this.before = time;
    this.tokens = event.tokens - (this.last?.tokens ?? event.tokens);
    this.last = event;
    this.keep(event.loss);
    if (event.bad > 0) this.notes.log(`step ${event.step}: ${event.bad} of its gradients not finite, left out`);
    this.notes.progress(this.line());
  }

  /** Keeps every so many-th loss of the whole run, so that a long one takes no more memory. */
  private keep(loss: number): void {
    if (this.seen++ % this.every !== 0) return;
    this.losses.push(loss);
    if (this.losses.length < mostLosses) return;
    this.losses = this.losses.filter((_, i) => i % 2 === 0);
    this.every *= 2;
  }

  /** "step 120/400 30 %  loss 3.21  2.31 bits/byte  12,345 tokens/s  4 min left  ▇▆▅▄▃▂" */
  private line(): string {
    const { step, loss } = this.last!;
    const parts = [`step ${step}/${this.steps}  ${Math.floor((100 * step) / this.steps)} %`, `loss ${loss.toFixed(3)}`];
    if (this.bits !== undefined) parts.push(`${this.bits.toFixed(3)} bits/byte`);
    parts.push(...this.speed(), sparkline(this.losses, curveWidth));
    return parts.join("  ");
  }

  private speed(): string[] {
    if (!this.pace || !this.last) return [];
    const left = (this.steps - this.last.step) * this.pace;
    const rate = this.tokens > 0 ? [`${grouped(Math.round(this.tokens / this.pace))} tokens/s`] : [];
    return [...rate, `${duration(left)} left`];
  }

  private validation(event: ValidationEvent): void {
    this.bits = event.bitsPerByte;
    const loss = this.last === undefined ? [] : [`loss ${this.last.loss.toFixed(3)}`];
    const parts = [...loss, `${event.bitsPerByte.toFixed(4)} bits per byte`, ...this.speed()];
    this.notes.log(`step ${event.step} of ${this.steps}: ${parts.join(", ")}`);
    // Time spent on held-out text is not a step's.
    this.before = undefined;
  }
}
