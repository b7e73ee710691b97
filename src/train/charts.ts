/** Charts as SVG text: lines over steps, a heat map. Colours hold in print, on dark screens and for colour-blind eyes. */
import { escapeHtml, palette } from "../base/page.ts";
import { short, ticks } from "../base/scale.ts";

/** Lines that colour tells apart. */
export const mostLines = palette.length;

export interface Series {
  name: string;
  /** (step, value), by step. */
  points: readonly (readonly [number, number])[];
  /** Drawn thin, behind the others, in the first one's colour. */
  faint?: boolean;
}

const width = 560;
const height = 230;
const box = { left: 58, right: 28, top: 10, bottom: 30 };
/** Points of one line that a reader can tell apart. */
const mostPoints = 500;

/** So many points that they can be seen: means of neighbours, or, to show how far they scatter, single ones. */
function thinned(points: Series["points"], scatter: boolean): Series["points"] {
  const each = Math.ceil(points.length / mostPoints);
  if (each <= 1) return points;
  if (scatter) return points.filter((_, i) => i % each === 0);
  return Array.from({ length: Math.ceil(points.length / each) }, (_, i) => {
    const some = points.slice(i * each, (i + 1) * each);
    const mean = (k: 0 | 1) => some.reduce((sum, p) => sum + p[k], 0) / some.length;
    return [mean(0), mean(1)] as const;
  });
}

/** Running mean that forgets over a hundredth of the line; what is not finite does not count. */
export function smoothed(points: Series["points"]): Series["points"] {
  const keep = 1 - 1 / Math.max(1, points.length / 100);
  let [sum, weight] = [0, 0];
  return points
    .filter(([, y]) => Number.isFinite(y))
    .map(([x, y]) => {
      sum = keep * sum + y;
      weight = keep * weight + 1;
      return [x, sum / weight] as const;
    });
}

/** Lines over steps; values that are not finite are left out. */
export function lineChart(title: string, given: readonly Series[]): string {
  const series = given.map((s) => {
    const finite = s.points.filter(([, y]) => Number.isFinite(y));
    return { ...s, points: thinned(finite, s.faint === true) };
  });
  const all = series.flatMap((s) => s.points);
  if (all.length === 0) return figure(title, '<p class="none">nothing yet</p>', "");
  const [x0, x1] = range(
    all.map(([x]) => x),
    0,
  );
  const [y0, y1] = range(
    all.map(([, y]) => y),
    0.06,
  );
  const px = (x: number) => box.left + ((x - x0) / (x1 - x0)) * (width - box.left - box.right);
  const py = (y: number) => height - box.bottom - ((y - y0) / (y1 - y0)) * (height - box.top - box.bottom);
  const grid = ticks(y0, y1, 5).map(
    (y) =>
      `<line class="grid" x1="${box.left}" x2="${width - box.right}" y1="${at(py(y))}" y2="${at(py(y))}"/>` +
      `<text x="${box.left - 6}" y="${at(py(y) + 4)}" text-anchor="end">${short(y)}</text>`,
  );
  const below = ticks(x0, x1, 6).map(
    (x) => `<text x="${at(px(x))}" y="${height - 10}" text-anchor="middle">${short(x)}</text>`,
  );
  below.push(`<text x="${box.left - 6}" y="${height - 10}" text-anchor="end">step</text>`);
  const colour = (i: number) =>
    palette[(series[i]!.faint ? 0 : series.slice(0, i).filter((s) => !s.faint).length) % palette.length]!;
  const lines = series.map(({ points, faint }, i) => {
    const path = points.map(([x, y], k) => `${k === 0 ? "M" : "L"}${at(px(x))} ${at(py(y))}`).join("");
    const dot =
      points.length === 1
        ? `<circle cx="${at(px(points[0]![0]))}" cy="${at(py(points[0]![1]))}" r="3" fill="${colour(i)}"/>`
        : "";
    return `<path d="${path}" stroke="${colour(i)}"${faint ? ' class="faint"' : ""}/>${dot}`;
  });
  const last = series.map(({ name, points }) => `${name} ${short(points.at(-1)?.[1] ?? Number.NaN)}`).join(", ");
  const svg = `<svg viewBox="0 0 ${width} ${height}" class="chart" role="img" aria-label="${escapeHtml(`${title}; last: ${last}`)}">${[...grid, ...below, ...lines].join("")}</svg>`;
  const named = series.map((s, i) => ({ name: s.name, colour: colour(i), faint: s.faint })).filter((s) => !s.faint);
  const legend = named.map((s) => `<span><i style="background:${s.colour}"></i>${escapeHtml(s.name)}</span>`).join("");
  return figure(title, svg, named.length > 1 ? `<div class="legend">${legend}</div>` : "");
}

/** Rows × columns of shares; pale is nothing, dark is `most` and above; the number stands in each cell. */
export function heatMap(
  title: string,
  rows: readonly { name: string; values: readonly number[] }[],
  most: number,
): string {
  const columns = Math.max(0, ...rows.map((r) => r.values.length));
  const cell = (width - box.left) / Math.max(1, columns);
  const tall = 26;
  const cells = rows.flatMap(({ name, values }, r) => [
    `<text x="${box.left - 6}" y="${r * tall + 17}" text-anchor="end">${escapeHtml(name)}</text>`,
    ...values.map((value, c) => {
      const depth = Math.min(1, value / most);
      const ink = depth > 0.55 ? "#fff" : "#222";
      const hint = `<title>${escapeHtml(`${name}, expert ${c}: ${(100 * value).toFixed(1)} %`)}</title>`;
      const number =
        cell > 24
          ? `<text class="cell" style="fill:${ink}" x="${at(box.left + (c + 0.5) * cell)}" y="${r * tall + 17}" text-anchor="middle">${(100 * value).toFixed(0)}</text>`
          : "";
      return `<g>${hint}<rect x="${at(box.left + c * cell)}" y="${r * tall}" width="${at(cell - 1)}" height="${tall - 1}" fill="${shade(depth)}"/>${number}</g>`;
    }),
  ]);
  const below = rows.length * tall + 16;
  const experts = Array.from({ length: columns }, (_, c) => c).filter((c) => cell > 18 || c % 8 === 0);
  const names = experts.map(
    (c) => `<text x="${at(box.left + (c + 0.5) * cell)}" y="${below}" text-anchor="middle">${c}</text>`,
  );
  const svg = `<svg viewBox="0 0 ${width} ${below + 6}" class="chart" role="img" aria-label="${escapeHtml(title)}">${[...cells, ...names].join("")}</svg>`;
  return figure(title, svg, "");
}

/** White to dark blue, its lightness falling evenly. */
function shade(depth: number): string {
  const mix = (from: number, to: number) => Math.round(from + (to - from) * depth);
  return `rgb(${mix(247, 8)},${mix(251, 48)},${mix(255, 107)})`;
}

function figure(title: string, body: string, legend: string): string {
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>${body}${legend}</figure>`;
}

/** Smallest and largest value, apart even if equal, with a margin. */
function range(values: readonly number[], margin: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const v of values) [low, high] = [Math.min(low, v), Math.max(high, v)];
  const space = high > low ? margin * (high - low) : Math.max(1e-9, Math.abs(low) / 10);
  return [low - space, high + space];
}

/** A coordinate. */
const at = (value: number) => value.toFixed(1);
