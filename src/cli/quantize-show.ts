/** What `lola quantize` has to tell. */
import type { Calibration } from "../quantize/calibrate.ts";
import type { KindCost, QuantizeReport } from "../quantize/quantize.ts";
import type { Measured } from "./quantize-measure.ts";
import { bytes, grouped, percent, table } from "./style.ts";

/** What calibrating did. */
interface CalibrationFacts extends Pick<Calibration, "tokens" | "few" | "short" | "large"> {
  /** Matrices whose errors could be compensated. */
  compensated: number;
}

export function calibrationFacts({ tokens, few, moments, short, large }: Calibration): CalibrationFacts {
  return { tokens, few, compensated: moments.size, short, large };
}

export interface Quantized extends Omit<QuantizeReport, "matrices" | "worst"> {
  /** What was quantized. */
  model: string;
  path: string;
  /** One line a kind of matrices. */
  types: string[];
  worst: { name: string; nmse: number } | null;
  device: { kind: string; name: string };
  seconds: number;
  calibration: CalibrationFacts | null;
  measured: Measured | null;
  /** The page, if one was asked for. */
  report: string | null;
}

/** Languages that are shown one by one, those that lost most. */
const shownLanguages = 8;

/** Experts or matrices that are named. */
const shownNames = 8;

/** 0.0012 → "+0.12 %". */
export const signed = (share: number) => `${share < 0 ? "−" : "+"}${percent(Math.abs(share))}`;

/** The kinds of matrices a model has, each with its cost. */
export function kindRows({ kinds }: Pick<Quantized, "kinds">): [string, KindCost][] {
  return Object.entries(kinds);
}

export function showQuantized(result: Quantized): string {
  const { path, fileBytes, before, after, identity, types, worst, calibration, measured, report } = result;
  const kinds = kindRows(result).map(([kind, cost]) => [
    kind,
    grouped(cost.tensors),
    bytes(cost.before),
    bytes(cost.after),
    cost.nmse.toExponential(1),
  ]);
  const parts = [
    `${path}: ${bytes(fileBytes)}; weights ${bytes(after)}, before ${bytes(before)}\nidentity ${identity}`,
    table([["", "matrices", "before", "after", "NMSE"], ...kinds]),
    [...types, ...(worst ? [`largest NMSE: ${worst.name}, ${worst.nmse.toExponential(1)}`] : [])].join("\n"),
    ...(calibration ? [showCalibration(calibration)] : []),
    measured ? showMeasured(measured) : "what it cost was not measured; --eval udhr does",
    ...(report === null ? [] : [`report: ${report}`]),
  ];
  return parts.join("\n\n");
}

function showCalibration({ tokens, few, compensated, short, large }: CalibrationFacts): string {
  const all = compensated + short.length + large.length;
  const facts = [
    few.length === 0
      ? "every expert saw enough"
      : `too few reached ${named(few)}: there all experts of the layer count together`,
    `errors compensated in ${grouped(compensated)} of ${grouped(all)} matrices`,
    ...(short.length > 0 ? [`fewer tokens than inputs reached ${named(short)}`] : []),
    ...(large.length > 0 ? [`${grouped(large.length)} had no room for sums of their inputs`] : []),
  ];
  return `calibrated on ${grouped(tokens)} tokens; ${facts.join("; ")}`;
}

function named(names: readonly string[]): string {
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : "";
  return `${names.slice(0, shownNames).join(", ")}${more}`;
}

function showMeasured({ text, languages, bytes: size, meanChange, worst, sameBest, routing }: Measured): string {
  const rows = languages
    .toSorted((a, b) => b.change - a.change)
    .slice(0, shownLanguages)
    .map((l) => [l.language, l.before.toFixed(4), l.after.toFixed(4), signed(l.change)]);
  const left = languages.length - rows.length;
  const least = routing.toSorted((a, b) => a.same - b.same)[0];
  const facts = [
    ["measured on", `${text}: ${grouped(languages.length)} languages, ${bytes(size)}`],
    ["bits per byte", `${signed(meanChange)} on average, ${signed(worst.change)} in ${worst.language}`],
    ["same likeliest token", percent(sameBest)],
    ...(least ? [["same expert", `${percent(least.same)} at least, in layer ${least.layer}`]] : []),
  ];
  const more = left > 0 ? `\nand ${left} more languages (--json lists all, --report HTML shows them)` : "";
  return `${table(facts)}\n\n${table([["language", "before", "after", ""], ...rows])}${more}`;
}
