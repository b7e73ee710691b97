/** Things as marked points of a plane, as t-SNE, UMAP and principal components place them. */
import { escapeHtml } from "../../base/page.ts";
import type { Point } from "../project.ts";
import { type Figure, fullWidth, ink, picture, words } from "./figure.ts";
import { drawn, legend, type Mark, type Marking } from "./marks.ts";

export interface MapData {
  /** Stem of the files, and of the title. */
  name: string;
  title: string;
  description: string;
  points: readonly Point[];
  /** What stands beside each point, as long as there is room: "swa". */
  labels: readonly string[];
  /** What a point is called in full: "Swahili (Atlantic-Congo)". */
  names: readonly string[];
  marking: Marking;
  /** Names of the axes, where they mean something. */
  axes?: readonly [string, string];
  /** Pixels. */
  width?: number;
  height?: number;
}

const margin = 28;
/** About as wide as a character of a label, and as tall. */
const character = { wide: 5.6, tall: 10 };

export function map(data: MapData): Figure {
  const { labels, names, marking, axes, width = fullWidth, height = 720 } = data;
  // Where axes mean nothing, what is tall is laid on its side.
  const points = axes ? data.points : lying(data.points);
  const places = placed(points, width, height);
  const taken: Rectangle[] = places.map(([x, y]) => ({ x: x - 5, y: y - 5, width: 10, height: 10 }));
  const drawing = places.map(([x, y], i) => {
    const label = labelled(labels[i]!, x, y, taken, { width, height });
    return `<g class="point" data-i="${i}"><title>${escapeHtml(names[i]!)}</title>${drawn(marking.marks[marking.of[i]!]!, x, y, `class="mark" data-i="${i}"`)}${label}</g>`;
  });
  const key = legend(marking.marks, margin / 2, height + 6, width - margin / 2);
  const about = { name: data.name, title: data.title, description: data.description };
  const named = axes
    ? words(`${axes[0]} →`, width - 8, height - 8, { anchor: "end" }) +
      words(`${axes[1]} →`, 14, 10, { anchor: "end", more: `transform="rotate(-90 14 10)"` })
    : "";
  const frame = `<rect class="frame" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" fill="none" stroke="#d4d4d4"/>`;
  const columns = ["label", "name", "group", ...(axes ?? ["x", "y"])];
  return {
    ...about,
    svg: picture(
      about,
      [width, height + 12 + key.height],
      `${frame}${named}<g class="points">${drawing.join("")}</g>${key.body}`,
    ),
    table: {
      columns,
      rows: points.map(([x, y], i) => [
        labels[i]!,
        names[i]!,
        groupOf(marking, i),
        Number(x.toFixed(4)),
        Number(y.toFixed(4)),
      ]),
    },
  };
}

const groupOf = ({ marks, of }: Marking, i: number): string => (marks[of[i]!] as Mark).name;

function lying(points: readonly Point[]): readonly Point[] {
  const span = (k: 0 | 1) => Math.max(...points.map((p) => p[k])) - Math.min(...points.map((p) => p[k]));
  return span(1) > span(0) ? points.map(([x, y]) => [y, -x]) : points;
}

/** Both axes in the same scale, in the middle of the picture. */
function placed(points: readonly Point[], width: number, height: number): Point[] {
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((k) => end(...points.map((p) => p[k]!)))) as [
    number[],
    number[],
  ];
  const spans = [high[0]! - low[0]!, high[1]! - low[1]!];
  const scale = Math.min((width - 2 * margin) / (spans[0]! || 1), (height - 2 * margin) / (spans[1]! || 1));
  const [x0, y0] = [(width - spans[0]! * scale) / 2, (height - spans[1]! * scale) / 2];
  return points.map(([x, y]) => [x0 + (x - low[0]!) * scale, height - y0 - (y - low[1]!) * scale]);
}

interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A label in the first free place around its point; none where there is none. */
function labelled(
  label: string,
  x: number,
  y: number,
  taken: Rectangle[],
  page: { width: number; height: number },
): string {
  const size = { width: label.length * character.wide, height: character.tall };
  const around: [number, number, "start" | "middle" | "end"][] = [
    [7, 3.5, "start"],
    [-7, 3.5, "end"],
    [0, -7, "middle"],
    [0, 14, "middle"],
    [6, -4, "start"],
    [-6, -4, "end"],
    [6, 11, "start"],
    [-6, 11, "end"],
  ];
  for (const [dx, dy, anchor] of around) {
    const left = x + dx - { start: 0, middle: size.width / 2, end: size.width }[anchor];
    const space = { x: left, y: y + dy - 8.5, ...size };
    const inside =
      left > 1 && left + size.width < page.width - 1 && space.y > 1 && space.y + size.height < page.height - 1;
    if (!inside || taken.some((other) => overlap(space, other, x, y))) continue;
    taken.push(space);
    return words(label, x + dx, y + dy, { anchor, paint: ink, more: 'font-size="9.5"' });
  }
  return "";
}

/** Do two rectangles overlap? The point's own mark does not count. */
function overlap(a: Rectangle, b: Rectangle, x: number, y: number): boolean {
  if (b.x === x - 5 && b.y === y - 5) return false;
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
