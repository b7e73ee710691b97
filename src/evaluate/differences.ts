/** Two results on the same samples: what differs, and what of it is more than the samples' noise. */
import { DataError, LolaError } from "../base/errors.ts";
import { differenceInterval, meanDifferenceInterval, type Pair } from "./bootstrap.ts";
import { unitOf, unitsOf } from "./language-scores.ts";
import type { Interval, Results, TaskSample, TextSample } from "./results.ts";

/** Of one language or task, or of the mean of all. */
export interface Difference {
  /** The language's label, or the task's name. */
  name: string;
  /** bits_per_byte, or a task's: acc. */
  metric: string;
  samples: number;
  first: number;
  second: number;
  /** second − first. */
  difference: number;
  /** 95 %, paired bootstrap; null where there are fewer than two units. */
  interval: Interval | null;
  /** Whether the interval holds 0; null where there is none. */
  noise: boolean | null;
}

export interface Differences {
  kind: Results["kind"];
  models: readonly [string, string];
  /** Samples in both, in the first and in the second alone. */
  common: number;
  only: readonly [number, number];
  /** What was not the same but the model, each as "stride: 256, 128". */
  conditions: readonly string[];
  /** By name. */
  differences: readonly Difference[];
  /** Means over names, each counting alike, one a metric. */
  overall: readonly Difference[];
}

/** @throws LolaError "usage" where they have no sample in common; DataError where equal samples are not cut alike */
export function differencesOf(first: Results, second: Results): Differences {
  const { common, groups } = pairsOf(first, second);
  const measured = groups.map(({ name, metric, samples, pairs }) => ({
    pairs,
    difference: differenceOf(name, metric, samples, pairs),
  }));
  const metrics = Map.groupBy(measured, ({ difference: { metric } }) => metric);
  return {
    kind: first.kind,
    models: [first.model.label, second.model.label],
    common,
    only: [first.samples.length - common, second.samples.length - common],
    conditions: conditionsThatDiffer(first, second),
    differences: measured.map(({ difference }) => difference),
    overall: Array.from(metrics, ([metric, of]) => overallOf(metric, of)),
  };
}

interface Group {
  name: string;
  metric: string;
  samples: number;
  pairs: Pair[];
}

function pairsOf(first: Results, second: Results): { common: number; groups: Group[] } {
  if (first.kind === "text" && second.kind === "text") {
    const both = inBoth(first.samples, second.samples);
    const languages = [...Map.groupBy(both, ([{ language }]) => language)].sort(byName);
    return { common: both.length, groups: languages.map(([name, samples]) => textGroup(name, samples)) };
  }
  if (first.kind === "tasks" && second.kind === "tasks") {
    const both = inBoth(first.samples, second.samples);
    const tasks = [...Map.groupBy(both, ([{ task }]) => task)].sort(byName);
    return { common: both.length, groups: tasks.flatMap(([name, samples]) => taskGroups(name, samples)) };
  }
  throw new LolaError("usage", `results of ${first.kind} and of ${second.kind} cannot be compared`, "two of one kind");
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);

function inBoth<S extends { id: string }>(first: readonly S[], second: readonly S[]): [S, S][] {
  const others = new Map(second.map((sample) => [sample.id, sample]));
  const both = first.flatMap((sample): [S, S][] => {
    const other = others.get(sample.id);
    return other ? [[sample, other]] : [];
  });
  if (both.length > 0) return both;
  throw new LolaError(
    "usage",
    `other texts: of ${first.length} and ${second.length} samples none is in both`,
    "lola eval with the same texts for both models",
  );
}

function textGroup(name: string, both: [TextSample, TextSample][]): Group {
  const unit = unitOf(both.map(([sample]) => sample));
  const pairs = both.flatMap(([a, b]) => {
    const [first, second] = [unitsOf(a, unit), unitsOf(b, unit)];
    if (first.length !== second.length || first.some(([, bytes], i) => bytes !== second[i]![1]))
      throw new DataError("results.parts", `${name}: sample ${a.id} has other paragraphs in both results`);
    return first.map((one, i): Pair => ({ first: one, second: second[i]! }));
  });
  return { name, metric: "bits_per_byte", samples: both.length, pairs };
}

function taskGroups(name: string, both: [TaskSample, TaskSample][]): Group[] {
  const metrics = Object.keys(both[0]![0].metrics).filter((metric) => both.every(([, b]) => metric in b.metrics));
  return metrics.map((metric) => {
    const unit = ({ metrics }: TaskSample) => [metrics[metric] ?? 0, 1] as const;
    const pairs = both.map(([a, b]): Pair => ({ first: unit(a), second: unit(b) }));
    return { name, metric, samples: both.length, pairs };
  });
}

function differenceOf(name: string, metric: string, samples: number, pairs: readonly Pair[]): Difference {
  const [first, second] = [ratio(pairs.map((pair) => pair.first)), ratio(pairs.map((pair) => pair.second))];
  return judged({ name, metric, samples, first, second, difference: second - first }, differenceInterval(pairs));
}

function overallOf(metric: string, of: readonly { pairs: readonly Pair[]; difference: Difference }[]): Difference {
  const mean = (key: "first" | "second" | "difference") =>
    of.reduce((sum, { difference }) => sum + difference[key], 0) / of.length;
  const samples = of.reduce((sum, { difference }) => sum + difference.samples, 0);
  const means = { first: mean("first"), second: mean("second"), difference: mean("difference") };
  return judged({ name: "mean", metric, samples, ...means }, meanDifferenceInterval(of.map(({ pairs }) => pairs)));
}

function judged(found: Omit<Difference, "interval" | "noise">, interval: Interval | null): Difference {
  return { ...found, interval, noise: interval && interval[0] <= 0 && interval[1] >= 0 };
}

function ratio(units: readonly (readonly [number, number])[]): number {
  const [above, below] = [0, 1].map((i) => units.reduce((sum, unit) => sum + unit[i]!, 0));
  return above! / below!;
}

function conditionsThatDiffer(a: Results, b: Results): string[] {
  const all = ({ version, device, settings }: Results): Record<string, unknown> => ({
    ...settings,
    lola: version,
    device: `${device.kind} (${device.name})`,
  });
  const [first, second] = [all(a), all(b)];
  return [...new Set([...Object.keys(first), ...Object.keys(second)])]
    .filter((key) => first[key] !== second[key])
    .map((key) => `${key}: ${first[key] ?? "unset"}, ${second[key] ?? "unset"}`);
}
