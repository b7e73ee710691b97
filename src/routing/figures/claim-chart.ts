/** The tests of the claim at a glance: each correlation, beside what chance stays below. */
import { ticks } from "../../base/scale.ts";
import type { TestResult } from "../claim.ts";
import { at, type Figure, fullWidth, ink, picture, rule, soft, words } from "./figure.ts";

const tall = 20;

/** About as wide as a letter of a label is at most, in pixels. */
const letter = 5.6;

const names = {
  tree: "family tree",
  genus: "genus and family",
  features: "WALS features",
  place: "distance on the Earth",
  script: "script",
  tokens: "tokens in common",
} as const;

const scripts = new Intl.DisplayNames("en", { type: "script" });

/** "Latin" of "Latn". */
export const scriptName = (code: string) => scripts.of(code) ?? code;

const listed = (parts: readonly string[]) => new Intl.ListFormat("en-GB").format(parts);

/** What a test is about: "family tree, script taken away, layer 3". */
export function testName({ predictor, controls, layer, script, correlation, metric, shuffled }: TestResult): string {
  return [
    names[predictor],
    ...(controls.length > 0 ? [`less ${listed(controls.map((control) => names[control]))}`] : []),
    ...(script === null ? [] : [`${scriptName(script)} only`]),
    ...(layer === null ? [] : [`layer ${layer}`]),
    ...(correlation === "pearson" ? ["Pearson"] : []),
    ...(metric === "js" ? [] : [`${metric} distance`]),
    ...(shuffled ? ["shuffled (control)"] : []),
  ].join(", ");
}

/** Bars for those that could be carried out; the table has all. */
export function claimChart(
  called: Pick<Figure, "name" | "title">,
  tests: readonly TestResult[],
  permutations: number,
): Figure {
  const shown = tests.filter(({ mantel }) => mantel !== null);
  const longest = Math.max(0, ...shown.map((test) => testName(test).length));
  const box = { left: Math.ceil(longest * letter) + 20, right: 150, top: 40 };
  const values = shown.flatMap(({ mantel }) => [mantel!.r, mantel!.chance]);
  const [low, high] = [Math.min(-0.05, ...values), Math.max(0.1, ...values)];
  const x = (r: number) => box.left + ((r - low) / (high - low)) * (fullWidth - box.left - box.right);
  const bottom = box.top + shown.length * tall;
  const grid = ticks(low, high, 8).map(
    (r) =>
      `<line x1="${at(x(r))}" x2="${at(x(r))}" y1="${box.top - 6}" y2="${bottom}" ${rule}/>` +
      words(String(r), x(r), box.top - 12, { anchor: "middle" }),
  );
  const rows = shown.map((test, i) => {
    const { r, p, chance } = test.mantel!;
    const y = box.top + (i + 0.5) * tall;
    const beyond = r > chance;
    const [from, to] = [Math.min(x(0), x(r)), Math.max(x(0), x(r))];
    const fill = beyond ? 'fill="#0072b2"' : 'class="weak" fill="#b8b8b8"';
    return [
      words(testName(test), box.left - 10, y + 4, { anchor: "end", paint: ink }),
      `<rect x="${at(from)}" y="${at(y - 6)}" width="${at(Math.max(1, to - from))}" height="12" ${fill}/>`,
      `<line x1="${at(x(chance))}" x2="${at(x(chance))}" y1="${at(y - 9)}" y2="${at(y + 9)}" class="reference" stroke="#1b1b1b" stroke-width="2"/>`,
      words(`r ${r.toFixed(3)}, p ${pValue(p)}`, fullWidth - box.right + 10, y + 4, { paint: beyond ? ink : soft }),
    ].join("");
  });
  const head = words("correlation of distances (Mantel's r)", box.left, 14);
  const about = {
    ...called,
    description:
      "Mantel's r of routing distances with other distances between the same languages; the dark stroke is what 95 % of " +
      `${permutations.toLocaleString("en")} permutations stay below, and grey bars do not pass it. p is one-sided and not corrected for ` +
      "the number of tests.",
  };
  return {
    ...about,
    svg: picture(about, [fullWidth, bottom + 10], [head, ...grid, ...rows].join("\n")),
    table: {
      columns: ["test", "correlation", "languages", "r", "p", "95 % of chance", "left out"],
      rows: tests.map((test) => {
        const { mantel, languages, leftOut, correlation } = test;
        const numbers = mantel
          ? [mantel.r, mantel.p, mantel.chance].map((value) => Number(value.toPrecision(4)))
          : [undefined, undefined, undefined];
        return [testName(test), correlation, languages, ...numbers, leftOut.join(" ")];
      }),
    },
  };
}

/** "0.0001", "0.23". */
export const pValue = (p: number) => (p < 0.01 ? p.toPrecision(1) : p.toFixed(2));
