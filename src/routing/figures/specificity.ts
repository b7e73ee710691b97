/** How specific experts are: the largest share of its tokens that any language sends to each (spec §6). */
import { ticks } from "../../base/scale.ts";
import type { Specificity } from "../vectors.ts";
import { at, type Figure, fullWidth, ink, picture, rule, soft, words } from "./figure.ts";
import { drawn, legend, orderedMarks } from "./marks.ts";

const box = { left: 52, right: 20, top: 16, bottom: 40 };
const height = 360;

/** @param specific of each layer's experts, the least specific first; languages by their names */
export function specificityChart(
  specific: readonly (readonly Specificity[])[],
  layers: readonly number[],
  name: (label: string) => string,
): Figure {
  const experts = specific[0]!.length;
  const most = Math.max(1.5 / experts, ...specific.flat().map(({ share }) => share));
  const x = (i: number) => box.left + ((i + 0.5) / experts) * (fullWidth - box.left - box.right);
  const y = (share: number) => height - box.bottom - (share / most) * (height - box.top - box.bottom);
  const marks = orderedMarks(layers.map((layer) => `layer ${layer}`));
  const grid = ticks(0, most, 6).map(
    (share) =>
      `<line x1="${box.left}" x2="${fullWidth - box.right}" y1="${at(y(share))}" y2="${at(y(share))}" ${rule}/>` +
      words(String(share), box.left - 6, y(share) + 4, { anchor: "end" }),
  );
  const below = Array.from({ length: experts }, (_, i) =>
    words(String(i + 1), x(i), height - box.bottom + 16, { anchor: "middle" }),
  );
  const lines = specific.map((row, l) => {
    const { colour } = marks[l]!;
    const path = row.map(({ share }, i) => `${i === 0 ? "M" : "L"}${at(x(i))} ${at(y(share))}`).join("");
    const points = row.map(({ expert, share, language }, i) => {
      const title = `layer ${layers[l]}, expert ${expert}: ${(100 * share).toFixed(1)} % of ${name(language)}`;
      return `<g><title>${title.replace(/[&<>]/g, "")}</title>${drawn(marks[l]!, x(i), y(share))}</g>`;
    });
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.4"/>${points.join("")}`;
  });
  const even = y(1 / experts);
  const reference = `<line x1="${box.left}" x2="${fullWidth - box.right}" y1="${at(even)}" y2="${at(even)}" class="reference" stroke="#1b1b1b" stroke-dasharray="5 4"/>${words(`1/${experts}, an equal share`, fullWidth - box.right, even - 5, { anchor: "end", paint: ink })}`;
  const under = words("experts of a layer, the least specific first", fullWidth / 2, height - 6, {
    anchor: "middle",
    paint: soft,
  });
  const key = legend(marks, box.left, height + 4, fullWidth - box.left);
  const about = {
    name: "specificity",
    title: "How specific experts are",
    description:
      "For each expert, the largest share of its tokens that any language sends there. Experts on the broken line are nobody's; " +
      `the higher, the more one language relies on one expert. The most specific has ${(100 * most).toFixed(0)} %.`,
  };
  return {
    ...about,
    svg: picture(
      about,
      [fullWidth, height + 8 + key.height],
      [...grid, ...below, reference, ...lines, under, key.body].join(""),
    ),
    table: {
      columns: ["layer", "rank", "expert", "share", "language"],
      rows: specific.flatMap((row, l) =>
        row.map(({ expert, share, language }, i) => [layers[l]!, i + 1, expert, Number(share.toFixed(5)), language]),
      ),
    },
  };
}
