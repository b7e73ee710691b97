/** Languages × (layer, expert): which share of a language's tokens each expert of a layer sees (spec §6). */
import { at, type Figure, fullWidth, ink, picture, rule, soft, words } from "./figure.ts";
import { drawn, type Marking } from "./marks.ts";

export interface HeatMapData {
  /** Of the languages, in the order of `vectors`. */
  names: readonly string[];
  labels: readonly string[];
  families: readonly string[];
  /** [languages][layers · experts]: shares, each layer's sum 1. */
  vectors: readonly Float64Array[];
  /** Transformer layers, 0-based. */
  layers: readonly number[];
  experts: number;
  /** Languages from top to bottom. */
  order: readonly number[];
  marking: Marking;
}

const left = 196;
const top = 64;
const tall = 11;
/** Between layers. */
const gap = 6;

/** The paper's colours, by the share that equal experts would have: (times that share, red, green, blue). */
const stops = [
  [0, 33, 92, 172],
  [1, 255, 255, 255],
  [2, 250, 214, 57],
] as const;
const red = [165, 15, 21] as const;
/** Share at which it is all red. */
const full = 0.75;

/** Blue at 0, white at 1/E, yellow at 2/E, red from 0.75 on; even between. */
export function shareColour(share: number, experts: number): string {
  const all = [...stops.map(([times, ...colour]) => [times / experts, ...colour] as const), [full, ...red] as const];
  const rising = all.filter(([from], i) => i === 0 || from > all[i - 1]![0]);
  const above = rising.findIndex(([from]) => from >= share);
  if (above === 0) return rgb(rising[0]!, rising[0]!, 0);
  if (above < 0) return rgb(rising.at(-1)!, rising.at(-1)!, 0);
  const [a, b] = [rising[above - 1]!, rising[above]!];
  return rgb(a, b, (share - a[0]) / (b[0] - a[0]));
}

type Stop = readonly [number, number, number, number];

function rgb(a: Stop, b: Stop, part: number): string {
  const hex = ([1, 2, 3] as const).map((k) => Math.round(a[k] + (b[k] - a[k]) * part));
  return `#${hex.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** The figure; its rows are groups of class "row" that a page may move. */
export function heatMap(data: HeatMapData): Figure {
  const { names, vectors, layers, experts, order, marking } = data;
  const wide = (fullWidth - left - gap * (layers.length - 1)) / (layers.length * experts);
  const x = (column: number) => left + column * wide + gap * Math.floor(column / experts);
  const rows = order.map((language, row) => {
    const cells = Array.from(vectors[language]!, (share, column) => {
      const colour = shareColour(share, experts);
      return `<rect x="${at(x(column))}" width="${at(wide)}" height="${tall}" fill="${colour}"/>`;
    });
    const mark = drawn(marking.marks[marking.of[language]!]!, 8, tall / 2, `class="mark" data-i="${language}"`);
    const name = words(shortened(names[language]!), left - 6, 9, { anchor: "end", paint: ink, more: 'font-size="10"' });
    return `<g class="row" data-i="${language}" transform="translate(0 ${top + row * tall})">${mark}${name}<g shape-rendering="crispEdges">${cells.join("")}</g></g>`;
  });
  const heads = layers.flatMap((layer, l) => [
    words(`layer ${layer}`, x(l * experts) + (experts * wide) / 2, top - 22, { anchor: "middle", paint: ink }),
    ...Array.from({ length: experts }, (_, e) =>
      wide >= 13 || e % 4 === 0
        ? words(String(e), x(l * experts + e) + wide / 2, top - 6, { anchor: "middle", more: 'font-size="9"' })
        : "",
    ),
  ]);
  const about = {
    name: "heat-map",
    title: "Languages and experts",
    description:
      `Share of each language's tokens that each of the ${experts} experts of ${layers.length} layers sees: blue is none, white ` +
      `an equal share (1/${experts}), yellow twice that, red three quarters and more. ${vectors.length} languages.`,
  };
  const body = `${colourBar(experts)}${heads.join("")}<g class="rows" data-x="${left}" data-top="${top}" data-tall="${tall}" data-wide="${wide}" data-gap="${gap}">${rows.join("\n")}</g>`;
  const columns = layers.flatMap((layer) => Array.from({ length: experts }, (_, e) => `${layer}.${e}`));
  return {
    ...about,
    svg: picture(about, [fullWidth, top + order.length * tall + 8], body),
    table: {
      columns: ["language", "name", "family", ...columns],
      rows: order.map((i) => [
        data.labels[i]!,
        names[i]!,
        data.families[i]!,
        ...Array.from(vectors[i]!, (share) => Number(share.toFixed(5))),
      ]),
    },
  };
}

/** What the colours mean. */
function colourBar(experts: number): string {
  const [x, wide, steps] = [left, 320, 160];
  const cells = Array.from({ length: steps }, (_, i) => {
    const colour = shareColour((full * (i + 0.5)) / steps, experts);
    return `<rect x="${at(x + (i * wide) / steps)}" y="6" width="${at(wide / steps + 0.3)}" height="9" fill="${colour}"/>`;
  });
  const marks: [number, string][] = [
    [0, "0"],
    [1 / experts, `1/${experts}`],
    [2 / experts, `2/${experts}`],
    [0.5, "1/2"],
    [full, "0.75 and more"],
  ];
  const shown = marks.filter(([share], i) => share <= full && (i === 0 || share > marks[i - 1]![0]));
  const ticks = shown.map(([share, text], i) => {
    const place = x + (share / full) * wide;
    const anchor = i === shown.length - 1 ? "start" : "middle";
    return `<line x1="${at(place)}" x2="${at(place)}" y1="15" y2="19" ${rule}/>${words(text, place, 29, { anchor, paint: soft, more: 'font-size="9"' })}`;
  });
  return `<g class="scale">${words("share of a language's tokens", x - 8, 14, { anchor: "end" })}<g shape-rendering="crispEdges">${cells.join("")}</g>${ticks.join("")}</g>`;
}

/** A name that fits beside its row. */
export function shortened(name: string): string {
  return name.length > 30 ? `${name.slice(0, 29)}…` : name;
}
