/** Distances of routing by kinship and script: is it kinship that makes languages pass like experts, or letters? */
import { ticks } from "../../base/scale.ts";
import type { Language } from "../../data/languages.ts";
import type { Distances } from "../distance.ts";
import { at, type Figure, fullWidth, ink, picture, rule, words } from "./figure.ts";

const box = { left: 262, right: 116, top: 40 };
const tall = 34;

/** Pairs of languages in the order of rows: nearest kin first, of one script before of two. */
const kinds = ["same genus", "same family, other genus", "other families"] as const;

interface Group {
  kinship: string;
  script: string;
  /** Ascending. */
  distances: Float64Array;
}

/** @param languages of the distances; pairs of which the family or genus is not known are left out, and of one language twice */
export function kinshipChart({ size, values }: Distances, languages: readonly (Language | undefined)[]): Figure {
  const groups = grouped(size, values, languages);
  const most = Math.max(1e-9, ...groups.map(({ distances }) => distances.at(-1) ?? 0));
  const x = (distance: number) => box.left + (distance / most) * (fullWidth - box.left - box.right);
  const bottom = box.top + groups.length * tall;
  const grid = ticks(0, most, 8).map(
    (distance) =>
      `<line x1="${at(x(distance))}" x2="${at(x(distance))}" y1="${box.top - 6}" y2="${bottom}" ${rule}/>` +
      words(String(distance), x(distance), box.top - 12, { anchor: "middle" }),
  );
  const rows = groups.map(({ kinship, script, distances }, i) => {
    const y = box.top + (i + 0.5) * tall;
    const colour = script === "same script" ? "#0072b2" : "#d55e00";
    const name = words(`${kinship}, ${script}`, box.left - 10, y + 4, { anchor: "end", paint: ink });
    const count = words(pairs(distances.length), fullWidth - box.right + 10, y + 4);
    if (distances.length === 0) return name + count;
    const [low, quarter, middle, most, high] = [0.05, 0.25, 0.5, 0.75, 0.95].map((part) =>
      x(quantile(distances, part)),
    );
    return [
      name,
      `<line x1="${at(low!)}" x2="${at(high!)}" y1="${at(y)}" y2="${at(y)}" stroke="${colour}" stroke-width="1.5"/>`,
      `<rect x="${at(quarter!)}" y="${at(y - 9)}" width="${at(most! - quarter!)}" height="18" fill="${colour}" fill-opacity="0.35" stroke="${colour}"/>`,
      `<line x1="${at(middle!)}" x2="${at(middle!)}" y1="${at(y - 9)}" y2="${at(y + 9)}" stroke="${colour}" stroke-width="3"/>`,
      count,
    ].join("");
  });
  const head = words("Jensen–Shannon distance over all layers", box.left, 14);
  const about = {
    name: "kinship",
    title: "Distance by kinship and script",
    description:
      "Each box holds the middle half of the pairs, its line the median, the whiskers 90 %. If routing followed families alone, boxes " +
      "would move with kinship whatever the script; if letters alone, same script would differ from two scripts whatever the kin.",
  };
  const parts = [0.05, 0.25, 0.5, 0.75, 0.95];
  return {
    ...about,
    svg: picture(about, [fullWidth, bottom + 10], [head, ...grid, ...rows].join("\n")),
    table: {
      columns: ["kinship", "script", "pairs", "5 %", "25 %", "median", "75 %", "95 %"],
      rows: groups.map(({ kinship, script, distances }) => [
        ...[kinship, script, distances.length],
        ...parts.map((part) => (distances.length ? Number(quantile(distances, part).toFixed(4)) : undefined)),
      ]),
    },
  };
}

const pairs = (count: number) => `${count.toLocaleString("en")} ${count === 1 ? "pair" : "pairs"}`;

function grouped(size: number, values: Float64Array, languages: readonly (Language | undefined)[]): Group[] {
  const found = kinds.map((): [number[], number[]] => [[], []]);
  for (let a = 0; a < size; a++)
    for (let b = 0; b < a; b++) {
      const [p, q] = [languages[a], languages[b]];
      if (!p?.family || !q?.family || !p.genus || !q.genus || p.code === q.code) continue;
      const kin = p.family !== q.family ? 2 : p.genus === q.genus ? 0 : 1;
      found[kin]![p.script === q.script ? 0 : 1].push(values[a * size + b]!);
    }
  return found.flatMap((both, kin) =>
    both.map((distances, other) => ({
      kinship: kinds[kin]!,
      script: other === 0 ? "same script" : "two scripts",
      distances: Float64Array.from(distances).sort(),
    })),
  );
}

/** Of ascending values, between neighbours in proportion. */
function quantile(values: Float64Array, part: number): number {
  const place = part * (values.length - 1);
  const low = Math.floor(place);
  const above = values[Math.min(low + 1, values.length - 1)]!;
  return values[low]! + (above - values[low]!) * (place - low);
}
