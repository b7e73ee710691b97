/** How long work will take, from what is done of it. */
import { duration } from "./train-progress.ts";

/** Seconds before a guess is worth telling. */
const early = 2;

/** @returns of a share that is done, ", 12 s left"; empty at the beginning */
export function remaining(now: () => number = () => performance.now() / 1000): (done: number) => string {
  const start = now();
  return (done) => {
    const taken = now() - start;
    return done > 0 && taken > early ? `, ${duration((taken / done) * (1 - done))} left` : "";
  };
}
