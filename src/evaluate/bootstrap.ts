/** How far a mean could be from what other samples would have given: percentile bootstrap, with seeded random numbers. */
import { philox, seedWords } from "../base/random.ts";
import type { Interval } from "./results.ts";

/** A resampled unit: what it adds to a ratio's two sums. */
export type Unit = readonly [above: number, below: number];

/** Of a difference of two ratios: by the first, and by the second model, on the same unit. */
export interface Pair {
  first: Unit;
  second: Unit;
}

const resamples = 2000;
const seed = 1n;
/** Of a 95 % interval. */
const tail = 0.025;

/**
 * 95 % interval of Σ above / Σ below: units are drawn with replacement 2,000 times, quantiles taken of the ratios
 * (Efron and Tibshirani, "An introduction to the bootstrap", 1993, ch. 13). The same units give the same interval.
 * @returns null for fewer than two units
 */
export function ratioInterval(units: readonly Unit[]): Interval | null {
  return interval(units.length, (drawn) => ratioOf(drawn, units));
}

/**
 * 95 % interval of the difference second − first of two ratios, drawing the same units for both: what both find hard
 * cancels out.
 * @returns null for fewer than two units
 */
export function differenceInterval(pairs: readonly Pair[]): Interval | null {
  const [first, second] = [pairs.map((pair) => pair.first), pairs.map((pair) => pair.second)];
  return interval(pairs.length, (drawn) => ratioOf(drawn, second) - ratioOf(drawn, first));
}

/**
 * 95 % interval of a mean over groups of their differences of ratios, each group resampled by itself.
 * @returns null where a group has fewer than two units
 */
export function meanDifferenceInterval(groups: readonly (readonly Pair[])[]): Interval | null {
  if (groups.length === 0 || groups.some(({ length }) => length < 2)) return null;
  const sums = new Float64Array(resamples);
  for (const [stream, pairs] of groups.entries()) {
    const [first, second] = [pairs.map((pair) => pair.first), pairs.map((pair) => pair.second)];
    const values = bootstrap(pairs.length, (drawn) => ratioOf(drawn, second) - ratioOf(drawn, first), stream);
    for (let i = 0; i < resamples; i++) sums[i]! += values[i]! / groups.length;
  }
  return quantiles(sums);
}

function interval(count: number, value: (drawn: Uint32Array) => number): Interval | null {
  return count < 2 ? null : quantiles(bootstrap(count, value));
}

/** The value for each resample. @param stream keeps groups' draws apart */
function bootstrap(count: number, value: (drawn: Uint32Array) => number, stream = 0): Float64Array {
  const key = seedWords(seed);
  const drawn = new Uint32Array(count);
  return Float64Array.from({ length: resamples }, (_, resample) => {
    for (let i = 0; i < count; i += 4) {
      const words = philox(key, [i / 4, resample, stream, 0]);
      for (let j = 0; j < 4 && i + j < count; j++) drawn[i + j] = Math.floor(words[j]! * 2 ** -32 * count);
    }
    return value(drawn);
  });
}

function ratioOf(drawn: Uint32Array, units: readonly Unit[]): number {
  let [above, below] = [0, 0];
  for (const i of drawn) {
    above += units[i]![0];
    below += units[i]![1];
  }
  // Units may weigh nothing; a draw of none but those has no ratio.
  return below === 0 ? 0 : above / below;
}

/** With linear interpolation between order statistics. */
function quantiles(values: Float64Array): Interval {
  const sorted = values.toSorted();
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    return sorted[low]! + (place - low) * (sorted[Math.min(low + 1, sorted.length - 1)]! - sorted[low]!);
  };
  return [at(tail), at(1 - tail)];
}
