/** The report of a collection: figures that say what was counted, files that stand alone, a page that a browser and a keyboard can use. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { languages } from "../../src/data/languages.ts";
import { testClaim } from "../../src/routing/claim.ts";
import type { Collection } from "../../src/routing/collection.ts";
import { csv, json } from "../../src/routing/figures/figure.ts";
import { shareColour } from "../../src/routing/figures/heat-map.ts";
import { marking, orderedMarks } from "../../src/routing/figures/marks.ts";
import { png } from "../../src/routing/figures/png.ts";
import { renderReport } from "../../src/routing/report.ts";
import { Browser } from "../browser.ts";
import { collection, labels, routing } from "./tiny.ts";

setDefaultTimeout(60_000);

async function reportOf(given: Collection) {
  const table = await languages();
  return renderReport(given, table, await testClaim(given, table, { permutations: 99 }));
}

const whole = collection(labels);
const report = await reportOf(whole);
const figure = (name: string) => report.figures.find((one) => one.name === name)!;

test("every figure is there, stands alone, and is named for those who do not see it", () => {
  const names = report.figures.map(({ name }) => name);
  const maps = ["tsne", "umap", "pca"].flatMap((kind) => [`languages-${kind}`, `experts-${kind}`]);
  const others = ["heat-map", "dendrogram", "specificity", "load", "kinship", "claim", "claim-layers"];
  expect(names.toSorted()).toEqual([...maps, ...others].toSorted());
  for (const { name, svg } of report.figures) {
    expect(svg).toStartWith('<svg xmlns="http://www.w3.org/2000/svg"');
    expect(svg).toContain(`<title id="${name}-t">`);
    expect(svg).toContain(`<desc id="${name}-d">`);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|url\(|href/);
  }
});

test("the heat map's table has the shares, its picture a cell for each", () => {
  const { table, svg } = figure("heat-map");
  const german = table.rows.find(([label]) => label === "deu")!;
  const counts = routing("deu").counts.flat();
  expect(german.slice(3)).toEqual(counts.map((count) => count / counts.slice(0, 4).reduce((a, b) => a + b)));
  expect(table.columns.slice(3)).toEqual(["1.0", "1.1", "1.2", "1.3", "3.0", "3.1", "3.2", "3.3"]);
  expect(svg.match(/class="row"/g)).toHaveLength(labels.length);
});

test("colours are the paper's, for any number of experts", () => {
  expect(shareColour(1 / 16, 16)).toBe("#ffffff");
  expect(shareColour(2 / 16, 16)).toBe(shareColour(2 / 64, 64));
  expect(shareColour(0.75, 16)).toBe(shareColour(1, 16));
  expect(shareColour(0, 16)).not.toBe(shareColour(0.75, 16));
  // With two experts twice an equal share is all there is.
  expect(shareColour(0.9, 2)).toMatch(/^#[0-9a-f]{6}$/);
});

test("no two groups have the same mark; what stands alone is one of the others", () => {
  const groups = Array.from({ length: 60 }, (_, i) => `g${Math.floor(i / 2)}`);
  const { marks, of } = marking([...groups, "alone", undefined]);
  expect(new Set(marks.map(({ colour, shape }) => colour + shape)).size).toBe(31);
  expect(of.slice(-2).map((i) => marks[i]!.name)).toEqual(["others", "others"]);
  expect(new Set(orderedMarks(["1", "3", "5", "7"]).map(({ colour }) => colour)).size).toBe(4);
});

test("specificity is the largest share over languages, ascending in each layer", () => {
  const { rows } = figure("specificity").table;
  for (const layer of [1, 3]) {
    const shares = rows.filter((row) => row[0] === layer).map((row) => row[3] as number);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBeGreaterThan(0.5);
  }
});

test("CSV quotes what must be, JSON has a record a row", () => {
  expect(
    csv({
      columns: ["a", "b"],
      rows: [
        ['x"y', undefined],
        ["1,5", 2],
      ],
    }),
  ).toBe('a,b\r\n"x""y",\r\n"1,5",2\r\n');
  const { title, rows } = JSON.parse(json(figure("load"))) as { title: string; rows: unknown[] };
  expect(title).toBe(figure("load").title);
  expect(rows).toHaveLength(8);
  expect(rows[0]).toMatchObject({ layer: 1, expert: 0 });
});

test("a PNG is the SVG's size doubled, the same each time", async () => {
  const bytes = await png(figure("load").svg);
  expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(16)).toBe(2240);
  expect(await png(figure("load").svg)).toEqual(bytes);
});

test("the same collection gives the same page", async () => {
  expect((await reportOf(whole)).html).toBe(report.html);
});

test("one language, or two, have a report too", async () => {
  for (const few of [["swa"], ["swa", "deu"], ["swa", "deu", "und"]]) {
    const { html, figures } = await reportOf(collection(few));
    for (const { svg } of figures) expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(html).toContain("Languages and experts");
  }
});

let folder = "";
let browser: Browser;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lola-report-"));
  writeFileSync(join(folder, "report.html"), report.html);
  browser = await Browser.open(join(folder, "report.html"));
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test("a browser opens the page: no error, no request but the page's own, all figures drawn", async () => {
  expect(browser.problems).toEqual([]);
  expect(browser.requests).toHaveLength(1);
  const drawn = await browser.evaluate<string[]>(
    "[...document.querySelectorAll('figure')].filter((f) => f.querySelector('svg').getBBox().width > 300).map((f) => f.id.replace('figure-', ''))",
  );
  expect(drawn.toSorted()).toEqual(report.figures.map(({ name }) => name).toSorted());
  expect(await browser.evaluate<string>("document.querySelector('h1').textContent")).toBe("Routing of <tiny>");
});

/** Presses Tab until the element has the focus. */
async function tabTo(selector: string): Promise<void> {
  await browser.evaluate("document.activeElement.blur()");
  for (let i = 0; i < 120; i++) {
    await browser.press("Tab");
    if (await browser.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
  }
  throw new Error(`Tab never came to ${selector}`);
}

test("by keyboard: cells of the heat map are told, rows sort, favourites follow", async () => {
  const told = () => browser.evaluate<string>("document.getElementById('cell').textContent");
  await tabTo("#figure-heat-map svg");
  const first = await told();
  await browser.press("ArrowRight", "ArrowDown");
  expect(await told()).not.toBe(first);
  expect(await told()).toMatch(/^.+: [\d.]+ % of its tokens in layer 1 go to expert 1$/);
  await tabTo("#order");
  await browser.press("ArrowDown", "ArrowDown");
  const rows = await browser.evaluate<string[]>(
    "[...document.querySelectorAll('#figure-heat-map .row text')].map((t) => t.textContent)",
  );
  expect(rows).toEqual(rows.toSorted(new Intl.Collator("en").compare));
  await tabTo("#language");
  await browser.press("ArrowDown");
  expect(await browser.evaluate<string>("document.querySelector('#favourites td').textContent")).toBe("</script><b>");
});

test("by keyboard: points of a map are told; marks change with what they stand for", async () => {
  await tabTo("#figure-languages-tsne svg");
  await browser.press("ArrowRight");
  const told = await browser.evaluate<string>("document.querySelector('#figure-languages-tsne output').textContent");
  expect(told).toMatch(/^\S.* \(.+\)$/);
  const legend = () =>
    browser.evaluate<string[]>(
      "[...document.querySelectorAll('#figure-languages-tsne .key text')].map((t) => t.textContent)",
    );
  expect(await legend()).toContain("Indo-European");
  await tabTo("#colour");
  await browser.press("ArrowDown");
  expect(await legend()).toContain("Germanic");
  expect(browser.problems).toEqual([]);
});
