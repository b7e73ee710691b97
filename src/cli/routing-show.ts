/** What `lola routing` has to tell. */
import type { CollectionDiff, LanguageDiff } from "../routing/diff.ts";
import type { Collected } from "./routing-collect.ts";
import type { Reported } from "./routing-report.ts";
import { bytes, grouped, percent, table } from "./style.ts";

/** Rows of a table; --json has all. */
const shown = 12;

const count = (number: number, one: string, many: string) => `${grouped(number)} ${number === 1 ? one : many}`;

export function showCollected(result: Collected): string {
  const { languages, documents, tokens, path, tokensPath, layers, seconds, tokensPerSecond, device } = result;
  const read = [
    count(languages.length, "language", "languages"),
    count(documents, "document", "documents"),
    bytes(result.bytes),
    count(tokens, "token", "tokens"),
  ];
  const loads = layers.map(({ layer, evenness, largest, gate }) => [
    `layer ${layer}`,
    evenness.toFixed(3),
    percent(largest),
    gate.toFixed(3),
  ]);
  return [
    `${path}: ${read.join(", ")} of ${result.texts} by ${result.model}`,
    ...(tokensPath === null ? [] : [`${tokensPath}: every token`]),
    `${grouped(Math.round(tokensPerSecond))} tokens a second, ${seconds.toFixed(1)} s, on ${device.name}`,
    "",
    table([["", "evenness", "busiest expert", "gate's entropy"], ...loads]),
    "",
    "evenness and entropy: 1 where all experts are alike",
  ].join("\n");
}

export function showReported({ report, figures, names, findings }: Reported): string {
  return [
    report,
    `${figures}: ${grouped(names.length)} figures as SVG, PNG, CSV and JSON`,
    "",
    ...findings.map((sentence) => `* ${sentence}`),
  ].join("\n");
}

export function showCollectionDiff({
  languages,
  mean,
  onlyFirst,
  onlySecond,
  sameModel,
  arrangement,
}: CollectionDiff): string {
  const rows = languages
    .slice(0, shown)
    .map(({ language, distance, layers }) => [language, distance.toFixed(4), ...layers.map((d) => d.toFixed(4))]);
  const heads = (languages[0]?.layers ?? []).map((_, i) => `mixture ${i + 1}`);
  const left = languages.length - rows.length;
  return [
    `${count(languages.length, "language", "languages")} in both, distance ${mean.toFixed(4)} on average`,
    ...(onlyFirst.length > 0 ? [`only in the first: ${onlyFirst.join(" ")}`] : []),
    ...(onlySecond.length > 0 ? [`only in the second: ${onlySecond.join(" ")}`] : []),
    ...(sameModel
      ? []
      : [
          "not one model: distances mean something between checkpoints of one training; elsewhere experts only share numbers",
        ]),
    ...(arrangement
      ? [
          `both arrange the languages alike: r = ${arrangement.r.toFixed(3)}, p = ${arrangement.p.toFixed(4)} (Mantel, Spearman)`,
        ]
      : []),
    "",
    table([["language", "distance", ...heads], ...rows]),
    ...(left > 0 ? [`and ${count(left, "more language", "more languages")} (--json lists all)`] : []),
  ].join("\n");
}

export function showLanguageDiff({ languages: [first, second], distance, layers, experts }: LanguageDiff): string {
  const rows = experts
    .slice(0, shown)
    .map(({ layer, expert, shares: [a, b] }) => [`layer ${layer}`, `expert ${expert}`, percent(a), percent(b)]);
  return [
    `${first} and ${second}: distance ${distance.toFixed(4)}; ${layers.map((l) => `layer ${l.layer} ${l.distance.toFixed(4)}`).join(", ")}`,
    "",
    table([["", "", first, second], ...rows]),
  ].join("\n");
}
