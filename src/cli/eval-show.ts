/** What `lola eval` has to tell of texts, and of two results. */
import type { Difference, Differences } from "../evaluate/differences.ts";
import { familyScores } from "../evaluate/language-scores.ts";
import type { LanguageScore } from "../evaluate/results.ts";
import type { TextEvaluation } from "./eval-text.ts";
import { bytes, grouped, type Style, table } from "./style.ts";

const count = (number: number, one: string, many: string) => `${grouped(number)} ${number === 1 ? one : many}`;
const sum = (scores: readonly LanguageScore[], of: (score: LanguageScore) => number) =>
  scores.reduce((total, score) => total + of(score), 0);

export function showText(result: TextEvaluation, style: Style): string {
  const { model, texts, languages, settings, resumed, paths } = result;
  const documents = sum(languages, (one) => one.documents);
  const read = [
    count(languages.length, "language", "languages"),
    count(documents, "document", "documents"),
    bytes(sum(languages, (one) => one.bytes)),
    count(
      sum(languages, (one) => one.tokens),
      "token",
      "tokens",
    ),
  ];
  const windows = `windows of ${settings.context} tokens that move on by ${settings.stride}`;
  const before = resumed > 0 ? `; ${count(resumed, "document was", "documents were")} scored before` : "";
  const mean = sum(languages, (one) => one.bitsPerByte) / languages.length;
  return [
    `${model.label} on ${texts.name}: ${read.join(", ")}\n${windows}${before}`,
    languageTable(languages, style),
    `${mean.toFixed(4)} bits per byte, the mean of the languages`,
    ...written(paths),
  ].join("\n\n");
}

function written(paths: Readonly<Record<string, string | null>>): string[] {
  const lines = Object.entries(paths).flatMap(([name, path]) => (path === null ? [] : [`${name}: ${path}`]));
  return lines.length === 0 ? [] : [lines.join("\n")];
}

/** A line for each family of several languages, with their mean, and below it its languages, the best first. */
function languageTable(languages: readonly LanguageScore[], style: Style): string {
  const head = ["", "", "bits/byte", "95 %", "perplexity", "bytes"].map(style.dim);
  const rows = familyScores(languages).flatMap(({ family, languages, bytes: size, meanBitsPerByte }) => {
    const name = `${family ?? "family not known"}, ${languages.length}`;
    const means = ["", meanBitsPerByte.toFixed(3), "", "", grouped(size)];
    return [[style.bold(name), ...means], ...languages.map(languageRow)];
  });
  return table([head, ...rows]);
}

function languageRow({ language, name, bitsPerByte, interval, perplexity, bytes: size }: LanguageScore): string[] {
  const range = interval ? `${interval[0].toFixed(3)}–${interval[1].toFixed(3)}` : "";
  return [`  ${language}`, name ?? "", bitsPerByte.toFixed(3), range, perplexity.toFixed(1), grouped(size)];
}

/** Beyond this, languages or tasks are counted, not shown. */
const shownDifferences = 25;

export function showDifferences(result: Differences, style: Style): string {
  const { models, common, only, conditions, differences, overall } = result;
  const left = [`${count(common, "sample", "samples")} in both`];
  for (const [i, number] of only.entries()) if (number > 0) left.push(`${grouped(number)} in ${"AB"[i]} alone`);
  const sure = differences.filter(({ noise }) => noise === false);
  // What is no noise first, the largest difference before smaller ones.
  const sorted = differences.toSorted(
    (a, b) => Number(a.noise !== false) - Number(b.noise !== false) || Math.abs(b.difference) - Math.abs(a.difference),
  );
  const shown = sorted.slice(0, shownDifferences);
  const more = sorted.length > shown.length ? [`and ${sorted.length - shown.length} more (--json, --csv FILE)`] : [];
  const head = ["", "", "A", "B", "B − A", "95 %", ""].map(style.dim);
  const rows = [...overall, ...shown].map((one) => differenceRow(one, style));
  const verdict = `${count(sure.length, "difference", "differences")} of ${differences.length} beyond noise; by chance alone one in 20 would be`;
  return [
    [`A: ${models[0]}`, `B: ${models[1]}`, left.join(", "), ...conditions.map((one) => `not the same: ${one}`)].join(
      "\n",
    ),
    [table([head, ...rows]), ...more].join("\n"),
    verdict,
  ].join("\n\n");
}

const metricNames: Readonly<Record<string, string>> = { bits_per_byte: "bits/byte" };

function differenceRow(
  { name, metric, first, second, difference, interval, noise }: Difference,
  style: Style,
): string[] {
  const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
  const range = interval ? `${signed(interval[0])} … ${signed(interval[1])}` : "";
  const verdict = noise === null ? "one sample" : noise ? "noise" : better(metric, difference) ? "better" : "worse";
  const label = metricNames[metric] ?? metric;
  return [name, style.dim(label), first.toFixed(4), second.toFixed(4), signed(difference), range, verdict];
}

/** Does a difference of B tell for it? */
function better(metric: string, difference: number): boolean {
  const lowerIsBetter = metric === "bits_per_byte" || metric === "perplexity";
  return lowerIsBetter ? difference < 0 : difference > 0;
}
