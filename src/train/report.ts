/** `report.html`: the curves, languages and experts of a run on one page that needs nothing else. */
import { existsSync, readFileSync } from "node:fs";
import { saveFile } from "../base/atomic.ts";
import { escapeHtml, factList, page } from "../base/page.ts";
import { short } from "../base/scale.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { LanguageShare } from "../data/sampling.ts";
import { parameterCounts } from "../model/presets.ts";
import { heatMap, lineChart, mostLines, type Series, smoothed } from "./charts.ts";
import type { RunSettings } from "./config.ts";
import type { SpeedEvent, StepEvent, TrainingEvent, ValidationEvent } from "./events.ts";
import { runFiles } from "./folder.ts";
import { routingSection } from "./report-routing.ts";
import { type RoutingEvent, readRouting } from "./routing-watch.ts";

/** What a report is made of. */
export interface ReportData {
  name: string;
  config: RunSettings;
  events: readonly TrainingEvent[];
  shares: readonly LanguageShare[];
  /** Where that was watched. */
  routing?: readonly RoutingEvent[];
}

/** Shortest time between two reports, in ms: a long run's takes seconds to make. */
const interval = 60_000;

/** Writes the report of a run that goes on, from its files. */
export class ReportWriter {
  private written = Number.NEGATIVE_INFINITY;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly folder: string,
    private readonly config: RunSettings,
    private readonly shares: readonly LanguageShare[],
  ) {}

  /** Told of each checkpoint: writes, unless it did a moment ago. */
  saved(): void {
    if (performance.now() - this.written < interval) return;
    this.written = performance.now();
    this.writing = this.writing.then(() => this.write());
    // Told by `finish`.
    this.writing.catch(() => {});
  }

  /** Writes the last one. @throws LolaError "failed" when the disk refuses */
  async finish(): Promise<void> {
    await this.writing;
    await this.write();
  }

  private async write(): Promise<void> {
    const { folder, config, shares } = this;
    const { metrics, speed, routing, report } = runFiles(folder);
    const events = [metrics, speed].flatMap(readEvents);
    const page = renderReport({ name: folder, config, events, shares, routing: readRouting(routing) });
    await saveFile(report, (output) => output.write(new TextEncoder().encode(page)));
  }
}

/** The events in the whole lines of a file; none where there is no such file. */
export function readEvents(path: string): TrainingEvent[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as TrainingEvent);
}

/** The whole page. */
export function renderReport({ name, config, events, shares, routing = [] }: ReportData): string {
  const steps = events.filter((e): e is StepEvent => e.event === "step");
  const validations = events.filter((e): e is ValidationEvent => e.event === "validation");
  const speeds = events.filter((e): e is SpeedEvent => e.event === "speed");
  const title = `lola ${"method" in config ? "finetune" : "train"}: ${name}`;
  const watched = routingSection(routing, moeLayers(config.model), config.model.experts);
  const body = `${summary(config, steps, validations, speeds)}
<h2>Curves</h2>
<div class="charts">${curves(config, steps, validations, speeds).join("\n")}</div>
${experts(config, steps, validations)}
${watched.body}
${languages(validations, shares)}
<h2>Settings</h2>
<details><summary>config.json</summary><pre>${escapeHtml(JSON.stringify(config, undefined, 2))}</pre></details>`;
  return page(title, body, watched);
}

function summary(
  config: RunSettings,
  steps: readonly StepEvent[],
  validations: readonly ValidationEvent[],
  speeds: readonly SpeedEvent[],
): string {
  const { model, recipe, device, version } = config;
  const { total, active } = parameterCounts(model);
  const last = steps.at(-1);
  const best = Math.min(...validations.map((v) => v.bitsPerByte));
  const joules = speeds.reduce((sum, { joules = 0 }) => sum + joules, 0);
  const count = (n: number) => n.toLocaleString("en");
  const facts: [string, string][] = [
    ["steps", count(last?.step ?? 0)],
    ["tokens", `${count(last?.tokens ?? 0)} of ${count(recipe.tokens)}`],
    ["loss", Number.isFinite(last?.loss) ? last!.loss.toFixed(4) : "–"],
    [
      "bits per byte, held out",
      validations.length > 0 ? `${validations.at(-1)!.bitsPerByte.toFixed(4)}, best ${best.toFixed(4)}` : "–",
    ],
    ["parameters", `${count(total)}, ${count(active)} active`],
    [
      "model",
      `width ${model.width}, ${model.layers} layers, ${model.experts} experts, vocabulary ${count(model.vocabulary)}`,
    ],
    ["device", `${device.kind}: ${device.name}; lola ${version}`],
    ...(joules > 0 ? [["energy of the processor", `${short(joules / 3.6e6)} kWh`] as [string, string]] : []),
  ];
  return factList(facts);
}

function curves(
  config: RunSettings,
  steps: readonly StepEvent[],
  validations: readonly ValidationEvent[],
  speeds: readonly SpeedEvent[],
): string[] {
  const of = (value: (e: StepEvent) => number) => steps.map((e) => [e.step, value(e)] as const);
  const layers = moeLayers(config.model);
  const perLayer = (value: (e: StepEvent) => readonly number[]) => byLayer(layers, steps, value);
  return [
    noisyChart(
      "Training loss, nats a token",
      of((e) => e.loss),
    ),
    lineChart("Held-out text, bits per byte", [
      { name: "all languages", points: validations.map((v) => [v.step, v.bitsPerByte]) },
    ]),
    noisyChart(
      `Balance loss over all layers, ${layers.length} when even`,
      of((e) => e.aux),
    ),
    noisyChart(
      "Norm of the gradient, before clipping",
      of((e) => e.norm),
    ),
    lineChart("Learning rate", [{ name: "rate", points: of((e) => e.rate) }]),
    noisyChart(
      "Tokens a second",
      speeds.map((e) => [e.step, e.tokensPerSecond] as const),
    ),
    lineChart(
      "Largest share of an expert",
      perLayer((e) => e.share),
    ),
    lineChart(
      `Entropy of the experts' load, ${short(Math.log(config.model.experts))} when even`,
      perLayer((e) => e.entropy),
    ),
  ];
}

/** A smoothed line before what it is smoothed from. */
function noisyChart(title: string, points: Series["points"]): string {
  return lineChart(title, [
    { name: "each", points, faint: true },
    { name: "smoothed", points: smoothed(points) },
  ]);
}

/** A smoothed line for each layer; of many layers the lowest, the mean and the highest. */
function byLayer(
  layers: readonly number[],
  steps: readonly StepEvent[],
  value: (e: StepEvent) => readonly number[],
): Series[] {
  const line = (name: string, of: (values: readonly number[]) => number) => ({
    name,
    points: smoothed(steps.map((e) => [e.step, of(value(e))] as const)),
  });
  if (layers.length <= mostLines) return layers.map((layer, i) => line(`layer ${layer}`, (v) => v[i] ?? Number.NaN));
  return [
    line("highest layer", (v) => Math.max(...v)),
    line("mean", (v) => v.reduce((a, b) => a + b, 0) / v.length),
    line("lowest layer", (v) => Math.min(...v)),
  ];
}

function languages(validations: readonly ValidationEvent[], shares: readonly LanguageShare[]): string {
  const last = validations.at(-1);
  const first = validations[0];
  if (!last || !first) return "";
  const share = new Map(shares.map((s) => [s.language, s]));
  const rows = Object.entries(last.languages).sort(([, a], [, b]) => a - b);
  const worst = Math.max(...rows.map(([, bits]) => bits));
  const cells = rows.map(([language, bits]) => {
    const { bytes = 0, epochs = 0 } = share.get(language) ?? {};
    const bar = `<div class="bar" style="width:${((100 * bits) / worst).toFixed(1)}%"></div>`;
    const before = first.languages[language] ?? bits;
    return `<tr><td>${escapeHtml(language)}</td><td class="n">${bits.toFixed(4)}</td><td class="track">${bar}</td><td class="n">${before.toFixed(4)}</td><td class="n" data-value="${bytes}">${short(bytes / 1000)}</td><td class="n">${short(epochs)}</td></tr>`;
  });
  return `<h2>Languages</h2>
<p>Bits per byte of held-out text after step ${last.step} (lower is better); a column's name sorts by it.</p>
<table class="sortable"><thead><tr><th>language</th><th class="n">bits per byte</th><th></th><th class="n">at step ${first.step}</th><th class="n">text, kB</th><th class="n">epochs</th></tr></thead>
<tbody>${cells.join("\n")}</tbody></table>`;
}

function experts(config: RunSettings, steps: readonly StepEvent[], validations: readonly ValidationEvent[]): string {
  const last = validations.at(-1);
  const layers = moeLayers(config.model);
  if (!last || layers.length === 0) return "";
  const rows = last.load.map((values, i) => ({ name: `layer ${layers[i]}`, values }));
  const even = 1 / config.model.experts;
  const entropy = (values: readonly number[]) => -values.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
  const table = rows.map(({ name, values }, i) => {
    const unused = values.filter((v) => v === 0).length;
    const recent = steps.at(-1)?.share[i];
    return `<tr><td>${name}</td><td class="n">${entropy(values).toFixed(3)}</td><td class="n">${(100 * Math.max(...values)).toFixed(1)} %</td><td class="n">${unused}</td><td class="n">${recent === undefined ? "–" : `${(100 * recent).toFixed(1)} %`}</td></tr>`;
  });
  return `<h2>Experts</h2>
<p>Share of held-out tokens that each expert got after step ${last.step}, in percent; even is ${(100 * even).toFixed(1)} %.</p>
<div class="charts">${heatMap("Load by layer and expert", rows, Math.min(1, 4 * even))}</div>
<table><thead><tr><th>layer</th><th class="n">entropy, at most ${Math.log(config.model.experts).toFixed(3)}</th><th class="n">largest share</th><th class="n">unused</th><th class="n">largest in the last step</th></tr></thead><tbody>${table.join("")}</tbody></table>`;
}
