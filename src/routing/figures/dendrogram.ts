/** The tree of languages by average linkage of their routing; a branch has a family's colour where all its leaves are of it. */
import { ticks } from "../../base/scale.ts";
import { type Joint, leavesOf, type Tree } from "../linkage.ts";
import { at, type Figure, fullWidth, ink, picture, rule, words } from "./figure.ts";
import { shortened } from "./heat-map.ts";
import { drawn, legend, type Marking } from "./marks.ts";

const box = { left: 12, right: 216, top: 44 };
const tall = 12;
/** Of branches that hold more than one family. */
const neutral = "#7a7a7a";

/** Part of the tree: where its branch is, the rows of its leaves, and their mark if they have the same. */
interface Span {
  y: number;
  first: number;
  last: number;
  mark: number | undefined;
}

/** @param cophenetic correlation of the tree with the distances; null where there is none */
export function dendrogram(
  tree: Tree,
  names: readonly string[],
  labels: readonly string[],
  marking: Marking,
  cophenetic: number | null,
): Figure {
  const leaves = leavesOf(tree);
  const rowAt = (row: number) => box.top + (row + 0.5) * tall;
  const highest = "sides" in tree ? Math.max(tree.height, 1e-9) : 1;
  const x = (height: number) => fullWidth - box.right - (height / highest) * (fullWidth - box.left - box.right);
  const branches: string[] = [];
  // A page paints branches anew by the rows of the leaves they hold, which stand together.
  const branch = (path: string, { first, last, mark }: Span) => {
    const known = mark === undefined ? undefined : marking.marks[mark];
    const stroke = known && known.name !== "others" ? known.colour : neutral;
    branches.push(`<path class="branch" data-first="${first}" data-last="${last}" d="${path}" stroke="${stroke}"/>`);
  };
  let next = 0;
  const visit = (node: Tree): Span => {
    if (!("sides" in node)) {
      const row = next++;
      return { y: rowAt(row), first: row, last: row, mark: marking.of[node.index]! };
    }
    const [a, b] = node.sides.map((side) => {
      const span = visit(side);
      branch(`M${at(x(node.height))} ${at(span.y)}H${at(x("sides" in side ? side.height : 0))}`, span);
      return span;
    }) as [Span, Span];
    const both = { y: (a.y + b.y) / 2, first: a.first, last: b.last, mark: a.mark === b.mark ? a.mark : undefined };
    branch(`M${at(x(node.height))} ${at(a.y)}V${at(b.y)}`, both);
    return both;
  };
  visit(tree);
  const bottom = box.top + leaves.length * tall;
  const scale = ticks(0, highest, 6).map(
    (height) =>
      `<line x1="${at(x(height))}" x2="${at(x(height))}" y1="${box.top - 6}" y2="${at(bottom)}" ${rule}/>` +
      words(String(height), x(height), box.top - 12, { anchor: "middle" }),
  );
  const rows = leaves.map((leaf, row) => {
    const y = rowAt(row);
    const mark = drawn(
      marking.marks[marking.of[leaf]!]!,
      fullWidth - box.right + 9,
      y,
      `class="mark" data-i="${leaf}"`,
    );
    return (
      mark + words(shortened(names[leaf]!), fullWidth - box.right + 20, y + 3.6, { paint: ink, more: 'font-size="10"' })
    );
  });
  const key = legend(marking.marks, box.left, bottom + 18, fullWidth - box.left);
  const faithful =
    cophenetic === null ? "" : ` Its cophenetic correlation with the distances is ${cophenetic.toFixed(2)}.`;
  const about = {
    name: "dendrogram",
    title: "Languages that pass like experts, as a tree",
    description:
      "Average linkage (UPGMA) of Jensen–Shannon distances over all layers; the further left two branches join, the less alike their " +
      `routing. Branches whose languages are all of one family have its colour.${faithful}`,
  };
  const head = words("Jensen–Shannon distance", box.left, 14);
  const body = `${head}${scale.join("")}<g fill="none" stroke-width="1.3">${branches.join("")}</g>${rows.join("")}${key.body}`;
  return {
    ...about,
    svg: picture(about, [fullWidth, bottom + 26 + key.height], body),
    table: { columns: ["first", "second", "distance", "languages"], rows: joints(tree, labels) },
  };
}

/** Each joint by the languages of both sides, the nearest first. */
function joints(tree: Tree, labels: readonly string[]): (string | number)[][] {
  const all = (node: Tree): Joint[] => ("sides" in node ? [...node.sides.flatMap(all), node] : []);
  return all(tree)
    .sort((a, b) => a.height - b.height)
    .map(({ sides, height }) => {
      const [first, second] = sides.map((side) => leavesOf(side).map((leaf) => labels[leaf]!)) as [string[], string[]];
      return [first.join(" "), second.join(" "), Number(height.toFixed(5)), first.length + second.length];
    });
}
