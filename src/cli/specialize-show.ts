/** What `lola specialize` has to tell. */
import type { ParameterCounts } from "../checkpoint/layout.ts";
import type { LanguageCost, ModelCost } from "../evaluate/models.ts";
import type { SpecializedLayer } from "../routing/specialize.ts";
import { signed } from "./quantize-show.ts";
import { bytes, grouped, percent, table } from "./style.ts";

export interface SpecializeResult {
  /** What it was made from. */
  model: string;
  path: string;
  languages: string[];
  /** Experts of each layer that stay, and that there were. */
  keep: number;
  experts: number;
  layers: SpecializedLayer[];
  /** The text that experts were chosen by and fitted to, and its tokens. */
  chosenBy: string;
  tokens: number;
  identity: string;
  fileBytes: number;
  /** Bytes of all tensors before and after, unpacked. */
  before: number;
  after: number;
  parameters: ParameterCounts;
  types: string[];
  measured: (ModelCost & { text: string }) | null;
  device: { kind: string; name: string };
  seconds: number;
}

/** Languages beside the chosen ones that are shown, those that lost least and most. */
const shownLanguages = 4;

export function showSpecialized(result: SpecializeResult): string {
  const { path, fileBytes, before, after, identity, parameters, layers, keep, experts, measured } = result;
  const rows = layers.map(({ layer, kept, covered, error }) => [
    layer,
    kept.join(" "),
    percent(covered),
    percent(error),
  ]);
  const parts = [
    `${path}: ${bytes(fileBytes)}; weights ${bytes(after)}, before ${bytes(before)}; ${grouped(parameters.total)} parameters\nidentity ${identity}`,
    `${keep} of ${experts} experts of each layer, chosen and fitted by ${grouped(result.tokens)} tokens of ${result.chosenBy}`,
    table([["layer", "experts kept", "of tokens", "error before fitting"], ...rows]),
    measured ? showMeasured(measured, result.languages) : "what it cost was not measured; --eval udhr does",
  ];
  return parts.join("\n\n");
}

function showMeasured({ text, languages, bytes: size }: ModelCost & { text: string }, chosen: readonly string[]) {
  const isChosen = ({ language }: LanguageCost) => chosen.includes(language);
  const others = languages.filter((one) => !isChosen(one)).sort((a, b) => a.change - b.change);
  const row = (one: LanguageCost) => [
    isChosen(one) ? `${one.language} *` : one.language,
    one.before.toFixed(4),
    one.after.toFixed(4),
    signed(one.change),
  ];
  const [least, most] =
    others.length > 2 * shownLanguages
      ? [others.slice(0, shownLanguages), others.slice(-shownLanguages)]
      : [others, []];
  const between = others.length - least.length - most.length;
  const rows = [
    ["language", "before", "after", ""],
    ...languages.filter(isChosen).map(row),
    ...least.map(row),
    ...(between > 0 ? [[`… ${between} more`]] : []),
    ...most.map(row),
  ];
  const mean = others.reduce((sum, { change }) => sum + change, 0) / others.length;
  const middle = others.length > 0 ? `; ${grouped(others.length)} others ${signed(mean)} on average` : "";
  const all = between > 0 ? "\n(--json lists all)" : "";
  return `bits per byte of ${text}, ${bytes(size)}${middle}\n\n${table(rows)}${all}`;
}
