/** The report of a collection: one page that needs nothing else, and its figures as files. */
import { escapeHtml, factList, page } from "../base/page.ts";
import { type Language, languageOf } from "../data/languages.ts";
import type { Claim } from "./claim.ts";
import type { Collection } from "./collection.ts";
import { routingDistances } from "./distance.ts";
import { packFavourites } from "./favourites.ts";
import { claimChart, scriptName } from "./figures/claim-chart.ts";
import { dendrogram } from "./figures/dendrogram.ts";
import type { Figure } from "./figures/figure.ts";
import { heatMap } from "./figures/heat-map.ts";
import { kinshipChart } from "./figures/kinship.ts";
import { loadChart } from "./figures/load.ts";
import { map } from "./figures/map.ts";
import { type Marking, marking, orderedMarks } from "./figures/marks.ts";
import { specificityChart } from "./figures/specificity.ts";
import { findings, limits } from "./findings.ts";
import { averageLinkage, leavesOf } from "./linkage.ts";
import { type Point, principalComponents, umap } from "./project.ts";
import { tsne } from "./project-tsne.ts";
import script from "./report.client.js" with { type: "text" };
import { styles } from "./report-style.ts";
import { layerLoads, specificity, transposed, type Vectors, vectorsOf } from "./vectors.ts";

export interface Report {
  html: string;
  figures: Figure[];
}

/** A heading of the page and what is below it. */
interface Section {
  id: string;
  title: string;
  body: string;
}

/** Favourites of an expert and a language that the page shows, fewer where there are many experts. */
const mostFavourites = 10;
const favouritesInAll = 100_000;

/**
 * @param table as `languages()` gives it
 * @param claim of the same collection
 */
export function renderReport(collection: Collection, table: ReadonlyMap<string, Language>, claim: Claim): Report {
  const { layers, experts } = collection;
  const labels = collection.languages.map(({ language }) => language);
  const known = labels.map((label) => languageOf(table, label));
  const names = labels.map((label, i) => nameOf(label, known[i]));
  const markings = {
    family: marking(known.map((language) => language?.family)),
    genus: marking(known.map((language) => language?.genus)),
    script: marking(known.map((language) => language && scriptName(language.script))),
  };
  const vectors = vectorsOf(collection);
  const distances = routingDistances(vectors, experts);
  const tree = averageLinkage(distances);
  const orders = ordersOf(leavesOf(tree), names, known);
  const heat = heatMap({
    ...{ names, labels, vectors, layers, experts, order: orders.tree, marking: markings.family },
    families: known.map((language) => language?.family ?? ""),
  });
  const tall = dendrogram(tree, names, labels, markings.family, claim.cophenetic);
  const inFull = names.map((name, i) => (known[i]?.family ? `${name} (${known[i].family})` : name));
  const languageMaps = maps("languages", vectors, { experts, labels, names: inFull, marking: markings.family });
  const expertMaps = expertMapsOf(collection, vectors);
  const specific = specificityChart(specificity(collection, vectors), layers, (label) => names[labels.indexOf(label)]!);
  const load = loadChart(layerLoads(collection));
  const kinship = kinshipChart(distances, known);
  const whole = claim.tests.filter(({ layer }) => layer === null);
  const inLayers = claim.tests.filter(({ layer }) => layer !== null);
  const claims = [
    claimChart({ name: "claim", title: "What goes with routing" }, whole, claim.permutations),
    claimChart({ name: "claim-layers", title: "Layer by layer" }, inLayers, claim.permutations),
  ].filter(({ table }) => table.rows.length > 0);
  const sections: Section[] = [
    { id: "findings", title: "What the numbers say", body: findingsOf(claim) },
    {
      id: "claim",
      title: "The test of the claim",
      body: [kinship, ...claims].map((figure) => framed(figure)).join("\n"),
    },
    { id: "experts-of", title: "Languages and experts", body: heatControls + framed(heat, "languages", "cell") },
    { id: "tree", title: "The tree of routing", body: framed(tall, "languages") },
    {
      id: "maps",
      title: "Maps of languages",
      body: languageMaps.map((figure) => framed(figure, "map languages", `told-${figure.name}`)).join("\n"),
    },
    {
      id: "experts",
      title: "Experts",
      body: `${framed(specific)}${framed(load)}<div class="pair">${expertMaps.map((figure) => framed(figure, "map", `told-${figure.name}`)).join("\n")}</div>`,
    },
    { id: "tokens", title: "Which tokens an expert likes", body: favouritesOf(collection, labels, names) },
  ];
  const most = Math.max(
    3,
    Math.min(mostFavourites, Math.floor(favouritesInAll / (labels.length * layers.length * experts))),
  );
  const data = {
    ...{ names, layers, experts, orders, markings },
    // In hundredths of a percent.
    vectors: vectors.map((vector) => Array.from(vector, (share) => Math.round(share * 1e4))),
    favourites: packFavourites(collection, most),
  };
  const body = `${head(collection, claim)}
${sections.map(({ id, title, body }) => `<section id="${id}"><h2>${title}</h2>\n${body}</section>`).join("\n")}
<script type="application/json" id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>`;
  const html = page(`Routing of ${collection.model.label}`, navigation(sections) + body, { styles, script });
  return { html, figures: [heat, tall, ...languageMaps, specific, load, ...expertMaps, kinship, ...claims] };
}

/** "Serbian (Latn)" for a label in another script than the usual. */
function nameOf(label: string, language: Language | undefined): string {
  if (!language) return label;
  const [, variant] = label.split("_");
  return variant ? `${language.name} (${variant})` : language.name;
}

/** Languages from top to bottom, by what they may be sorted by. */
function ordersOf(tree: number[], names: readonly string[], known: readonly (Language | undefined)[]) {
  const all = names.map((_, i) => i);
  const compare = new Intl.Collator("en").compare;
  const place = new Map(tree.map((language, row) => [language, row]));
  // What is not known comes last.
  const family = (i: number) => `${known[i]?.family ?? "\uffff"}\t${known[i]?.genus ?? "\uffff"}`;
  return {
    tree,
    family: all.toSorted((a, b) => compare(family(a), family(b)) || place.get(a)! - place.get(b)!),
    name: all.toSorted((a, b) => compare(names[a]!, names[b]!)),
  };
}

/** Fewer things have no map. */
const fewestPoints = 4;

/** t-SNE, UMAP and principal components; none of fewer than four things, or of things with fewer than three numbers. */
function maps(
  what: "languages" | "experts",
  vectors: Vectors,
  shown: {
    experts: number;
    labels: readonly string[];
    names: readonly string[];
    marking: Marking;
    width?: number;
    height?: number;
  },
): Figure[] {
  if (vectors.length < fewestPoints || vectors[0]!.length < 3) return [];
  const { experts, ...rest } = shown;
  const distances = routingDistances(vectors, experts, what === "languages" ? "js" : "cosine");
  const measure = what === "languages" ? "Jensen–Shannon" : "cosine";
  const components = principalComponents(vectors);
  const near = `Near points pass ${what === "languages" ? "like experts" : "like languages"}; distances between far ones mean little, and neither do the axes.`;
  const percent = components.explained.map((part) => `${(100 * part).toFixed(0)} %`) as [string, string];
  const { points, divergence } = tsne(distances, components.points);
  const drawn = (
    name: string,
    title: string,
    description: string,
    at: readonly Point[],
    axes?: readonly [string, string],
  ) => map({ ...rest, name: `${what}-${name}`, title, description, points: at, ...(axes ? { axes } : {}) });
  return [
    drawn(
      "tsne",
      `t-SNE of ${what}`,
      `By ${measure} distances. ${near} Divergence ${divergence.toFixed(2)} nats.`,
      points,
    ),
    drawn("umap", `UMAP of ${what}`, `By ${measure} distances. ${near}`, umap(distances)),
    drawn(
      "pca",
      `Principal components of ${what}`,
      `The two straight directions along which ${what} differ most: ${percent[0]} and ${percent[1]} of the variance.`,
      components.points,
      [`component 1, ${percent[0]}`, `component 2, ${percent[1]}`],
    ),
  ];
}

/** Experts by the shares that each language sends them, marked by layer. */
function expertMapsOf({ layers, experts }: Collection, vectors: Vectors): Figure[] {
  const all = transposed(vectors).map((column, i) => ({ column, layer: Math.floor(i / experts), expert: i % experts }));
  // An expert that nobody uses is like no other.
  const place = all.filter(({ column }) => column.some((share) => share > 0));
  const columns = place.map(({ column }) => column);
  return maps("experts", columns, {
    experts: vectors.length,
    labels: place.map(({ layer, expert }) => `${layers[layer]}.${expert}`),
    names: place.map(({ layer, expert }) => `layer ${layers[layer]}, expert ${expert}`),
    marking: { marks: orderedMarks(layers.map((layer) => `layer ${layer}`)), of: place.map(({ layer }) => layer) },
    ...{ width: 548, height: 440 },
  });
}

function head(collection: Collection, claim: Claim): string {
  const { model, languages, layers, experts, texts, version } = collection;
  const count = (of: (language: Collection["languages"][number]) => number) =>
    languages.reduce((sum, language) => sum + of(language), 0).toLocaleString("en");
  return factList([
    ["model", `${model.label}, ${model.identity.slice(0, 12)}`],
    ["texts", texts],
    ["languages", `${languages.length}; ${claim.languages.length} in the tests`],
    ["tokens", `${count(({ tokens }) => tokens)} of ${count(({ documents }) => documents)} documents`],
    ["experts", `${experts} in each of ${layers.length} layers (${layers.join(", ")})`],
    ["lola", version],
  ]);
}

function navigation(sections: readonly Section[]): string {
  const items = sections.map(({ id, title }) => `<li><a href="#${id}">${title}</a></li>`);
  return `<nav aria-label="Sections"><ol>${items.join("")}</ol></nav>`;
}

function findingsOf(claim: Claim): string {
  const list = (sentences: readonly string[]) =>
    `<ul class="findings">${sentences.map((s) => `<li>${escapeHtml(s)}</li>`).join("")}</ul>`;
  const { unknown, doubles } = claim;
  const left = [
    ...(unknown.length > 0 ? [`nothing is known of ${unknown.join(", ")}`] : []),
    ...(doubles.length > 0 ? [`${doubles.join(", ")} are second labels of a language`] : []),
  ];
  return `${list(findings(claim))}
${left.length > 0 ? `<p>Left out of the tests: ${escapeHtml(left.join("; "))}.</p>` : ""}
<h3>What they do not say</h3>
${list(limits)}`;
}

const heatControls = `<div class="controls">
<label>Rows by <select id="order"><option value="tree">tree of routing</option><option value="family">family</option><option value="name">name</option></select></label>
<label>Colours and shapes, here and below, for <select id="colour"><option value="family">family</option><option value="genus">genus</option><option value="script">script</option></select></label>
</div>`;

/**
 * A figure with its words, its table and its files.
 * @param kind classes
 * @param told the id of the line that tells what arrow keys or a pointer chose in it; such a figure can have the focus
 */
function framed(figure: Figure, kind = "", told?: string): string {
  const { name, title, description, svg, table } = figure;
  const drawing = told ? svg.replace("<svg ", `<svg tabindex="0" aria-describedby="${told}" `) : svg;
  const line = told ? `<output id="${told}" aria-live="polite">Arrow keys move through the figure.</output>` : "";
  const cells = table.rows.map(
    (row) => `<tr>${row.map((cell) => `<td>${escapeHtml(String(cell ?? ""))}</td>`).join("")}</tr>`,
  );
  const heads = table.columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join("");
  return `<figure id="figure-${name}" class="${kind}">
<figcaption>${escapeHtml(title)}<p>${escapeHtml(description)}</p></figcaption>
${line}${drawing}
<div class="files"><button type="button" data-save="svg">SVG</button><button type="button" data-save="csv">CSV</button>
<details><summary>Table of this figure</summary><div class="scroll" tabindex="0" role="region" aria-label="Table: ${escapeHtml(title)}"><table class="sortable"><thead><tr>${heads}</tr></thead><tbody>${cells.join("\n")}</tbody></table></div></details></div>
</figure>`;
}

/** Two lists to choose from, and the table that the page's script fills. */
function favouritesOf({ layers, experts }: Collection, labels: readonly string[], names: readonly string[]): string {
  const option = (value: number, text: string) => `<option value="${value}">${escapeHtml(text)}</option>`;
  const ofLanguages = labels.map((label, i) => option(i, `${names[i]} (${label})`));
  const ofExperts = layers.flatMap((layer, l) =>
    Array.from({ length: experts }, (_, e) => option(l * experts + e, `layer ${layer}, expert ${e}`)),
  );
  return `<p>The tokens that are most typical of an expert in a language: how often it saw one, how often that occurred in all, and the share.</p>
<div class="controls"><label>Language <select id="language">${ofLanguages.join("")}</select></label><label>Expert <select id="expert">${ofExperts.join("")}</select></label></div>
<table id="favourites" aria-live="polite"><thead><tr><th scope="col">token</th><th scope="col" class="n">seen here</th><th scope="col" class="n">in all</th><th scope="col" class="n">share</th></tr></thead><tbody></tbody></table>
<p id="favourites-none" hidden>This expert sees too little of this language.</p>`;
}
