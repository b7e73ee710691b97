/**
 * `bun weights/recipe/card.ts RUN IMAGE.svg`: what the model card tells of a training run. Prints its tables; draws loss,
 * held-out bits per byte and the experts' load into the image.
 */
import { readFileSync } from "node:fs";
import { heatMap, lineChart, smoothed } from "../../src/train/charts.ts";
import type { SpeedEvent, StepEvent, TrainingEvent, ValidationEvent } from "../../src/train/events.ts";
import { readConfig, runFiles } from "../../src/train/folder.ts";

const [run, image] = process.argv.slice(2);
if (!run || !image) {
  console.error("usage: bun weights/recipe/card.ts RUN IMAGE.svg");
  process.exit(2);
}
const { metrics, speed } = runFiles(run);
const events = [metrics, speed].flatMap((path) =>
  readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as TrainingEvent),
);
const steps = events.filter((e): e is StepEvent => e.event === "step");
const validations = events.filter((e): e is ValidationEvent => e.event === "validation");
const speeds = events.filter((e): e is SpeedEvent => e.event === "speed");
const { recipe, shape, accumulate } = readConfig(run);

let seconds = 0;
let before = 0;
for (const { step, tokensPerSecond } of speeds) {
  seconds += ((step - before) * shape.batch * shape.time * accumulate) / tokensPerSecond;
  before = step;
}
const last = validations.at(-1)!;
const number = (n: number) => n.toLocaleString("en");
console.log("| | |\n|---|---|");
console.log(`| steps | ${number(steps.length)} of ${shape.batch * accumulate} × ${shape.time} tokens |`);
console.log(`| tokens | ${number(steps.at(-1)!.tokens)} |`);
console.log(`| hours | ${(seconds / 3600).toFixed(2)} |`);
console.log(`| optimizer | ${recipe.optimizer}, rate ${recipe.rate} to ${recipe.finalRate} |`);
console.log(`| steps left out as not finite | ${steps.filter(({ bad }) => bad > 0).length} |`);
console.log(
  `| largest share of an expert in held-out text, by layer | ${last.load.map((l) => percent(Math.max(...l)))} |`,
);
console.log(`| smallest | ${last.load.map((l) => percent(Math.min(...l)))} |`);
console.log(`| largest in a step of the last tenth | ${percent(largest(steps.slice(-steps.length / 10)))} |\n`);

const shown = validations.filter(
  (_, i) => i % Math.ceil(validations.length / 10) === 0 || i === validations.length - 1,
);
console.log(`| million tokens | ${shown.map(({ tokens }) => (tokens / 1e6).toFixed(0)).join(" | ")} |`);
console.log(`|---|${shown.map(() => "---|").join("")}`);
console.log(`| held-out bits per byte | ${shown.map(({ bitsPerByte }) => bitsPerByte.toFixed(3)).join(" | ")} |`);

const loss = steps.map(({ step, loss }) => [step, loss] as const);
const charts = [
  lineChart("training loss, nats a token", [
    { name: "each step", points: loss, faint: true },
    { name: "mean", points: smoothed(loss) },
  ]),
  lineChart("held-out bits per byte", [
    { name: "all languages", points: validations.map(({ step, bitsPerByte }) => [step, bitsPerByte]) },
  ]),
  heatMap(
    "share of held-out tokens, %, by MoE layer and expert",
    last.load.map((values, i) => ({ name: `layer ${2 * i + 1}`, values })),
    0.25,
  ),
];
let top = 0;
const parts = charts.map((chart) => {
  const title = /<figcaption>(.*?)<\/figcaption>/.exec(chart)![1]!;
  const [svg, width, height] = /<svg viewBox="0 0 ([\d.]+) ([\d.]+)".*<\/svg>/s.exec(chart)!;
  const placed = svg.replace("<svg ", `<svg x="0" y="${top + 24}" width="${width}" height="${height}" `);
  const part = `<text class="title" x="10" y="${top + 16}">${title}</text>${placed}`;
  top += 34 + Number(height);
  return part;
});
const style = `text { font: 11px system-ui, sans-serif; fill: #555; } text.title { font-size: 13px; font-weight: 600; fill: #222; }
text.cell { font-size: 10px; } path { fill: none; stroke-width: 1.8; } path.faint { stroke-width: .8; opacity: .35; } .grid { stroke: #ddd; }`;
await Bun.write(
  image,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 ${top}" width="560" height="${top}"><rect width="100%" height="100%" fill="#fff"/><style>${style}</style>${parts.join("")}</svg>\n`,
);

function percent(share: number): string {
  return ` ${(100 * share).toFixed(1)} %`;
}

function largest(some: readonly StepEvent[]): number {
  return Math.max(...some.flatMap(({ share }) => share));
}
