/** How evenly each layer's experts work, all languages together. */
import type { LayerLoad } from "../vectors.ts";
import { at, type Figure, fullWidth, ink, picture, rule, words } from "./figure.ts";

const box = { left: 64, right: 330, top: 30 };
const tall = 78;
const bar = 56;

export function loadChart(loads: readonly LayerLoad[]): Figure {
  const experts = loads[0]!.shares.length;
  const most = Math.max(...loads.map(({ largest }) => largest), 1.2 / experts);
  const wide = (fullWidth - box.left - box.right) / experts;
  const rows = loads.map(({ layer, shares, evenness, largest, gate }, l) => {
    const base = box.top + l * tall + bar;
    const bars = shares.map((share, e) => {
      const size = (share / most) * bar;
      return `<g><title>layer ${layer}, expert ${e}: ${(100 * share).toFixed(1)} %</title><rect x="${at(box.left + e * wide + 2)}" y="${at(base - size)}" width="${at(wide - 4)}" height="${at(size)}" fill="#0072b2"/></g>`;
    });
    const even = base - bar / experts / most;
    const facts = `evenness ${evenness.toFixed(3)} · largest ${(100 * largest).toFixed(1)} % · gate's entropy ${gate.toFixed(2)}`;
    return [
      words(`layer ${layer}`, box.left - 8, base - bar / 2, { anchor: "end", paint: ink }),
      ...bars,
      `<line x1="${box.left}" x2="${fullWidth - box.right}" y1="${at(base)}" y2="${at(base)}" ${rule}/>`,
      `<line x1="${box.left}" x2="${fullWidth - box.right}" y1="${at(even)}" y2="${at(even)}" class="reference" stroke="#1b1b1b" stroke-dasharray="5 4"/>`,
      words(facts, fullWidth - box.right + 12, base - bar / 2 + 4),
    ].join("");
  });
  const bottom = box.top + loads.length * tall;
  const numbers = Array.from({ length: experts }, (_, e) =>
    wide >= 16 || e % 4 === 0 ? words(String(e), box.left + (e + 0.5) * wide, bottom - 6, { anchor: "middle" }) : "",
  );
  const head = words("share of all tokens; broken line: an equal share", box.left, 16);
  const about = {
    name: "load",
    title: "How evenly experts work",
    description:
      "Share of all tokens of all languages that each expert sees. Evenness is the entropy of the shares by that of equal ones (1: all " +
      "alike); the gate's entropy is that of a token's own distribution, on average (0: always certain).",
  };
  return {
    ...about,
    svg: picture(about, [fullWidth, bottom + 10], [head, ...rows, ...numbers].join("\n")),
    table: {
      columns: ["layer", "expert", "share", "evenness", "gate entropy"],
      rows: loads.flatMap(({ layer, shares, evenness, gate }) =>
        shares.map((share, e) => [layer, e, ...[share, evenness, gate].map((value) => Number(value.toFixed(5)))]),
      ),
    },
  };
}
