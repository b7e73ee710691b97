/** Pages of HTML that need nothing but themselves: the shell, how it looks on a screen, in the dark and on paper, sorting. */

/** Okabe & Ito's palette, without the yellow that vanishes on white: told apart by colour-blind eyes, in print, on dark screens. */
export const palette = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"] as const;

export const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/**
 * A whole page.
 * @param title text, not yet escaped; also the heading
 * @param body markup below the heading
 * @param own styles and a script that only this page has
 */
export function page(title: string, body: string, own: { styles?: string; script?: string } = {}): string {
  const name = escapeHtml(title);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<style>${styles}${own.styles ?? ""}</style>
<h1>${name}</h1>
${body}
<script>${script}${own.script ? `{\n${own.script}}` : ""}</script>
</html>
`;
}

/** Names and what they are, as a list at the head of a page; text, not yet escaped. */
export function factList(facts: readonly (readonly [name: string, value: string])[]): string {
  const items = facts.map(([k, v]) => `<div><dt>${escapeHtml(k)}</dt><dd>${escapeHtml(v)}</dd></div>`);
  return `<dl>${items.join("")}</dl>`;
}

const styles = `
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #666; --line: #ddd; --back: #fff; --bar: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #aaa; --line: #444; --back: #181818; --bar: #56b4e9; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 1180px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; overflow-wrap: anywhere; } h2 { font-size: 1.15em; margin-top: 2em; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: .6em 1.5em; }
dt { color: var(--soft); font-size: .85em; } dd { margin: 0; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); gap: 1.2em; }
figure { margin: 0; break-inside: avoid; } figcaption { font-weight: 600; font-size: .9em; }
svg { width: 100%; height: auto; } svg.chart text { font-size: 11px; fill: var(--soft); } svg.chart text.cell { font-size: 10px; }
svg.chart path { fill: none; stroke-width: 1.8; stroke-linejoin: round; } svg.chart path.faint { stroke-width: .8; opacity: .35; }
svg.chart .grid { stroke: var(--line); stroke-width: 1; }
.legend { display: flex; flex-wrap: wrap; gap: .2em 1em; font-size: .85em; } .legend i { display: inline-block; width: 14px; height: 3px; margin-right: .4em; vertical-align: middle; }
.none { color: var(--soft); }
table { border-collapse: collapse; width: 100%; max-width: 820px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15em .6em; border-bottom: 1px solid var(--line); } .n { text-align: right; }
.sortable th button { all: unset; cursor: pointer; text-decoration: underline dotted; }
.sortable th button:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
.track { width: 35%; } .bar { height: .8em; background: var(--bar); border-radius: 2px; print-color-adjust: exact; }
pre { overflow: auto; }
@media print { body { margin: 0; max-width: none; } .charts { grid-template-columns: 1fr 1fr; } details { display: none; } svg rect { print-color-adjust: exact; } }
`;

/** Tables of class "sortable" sort by the column whose name is pressed: by `data-value` or text, as numbers where they are. */
const script = `
for (const table of document.querySelectorAll(".sortable")) {
  const body = table.tBodies[0];
  const key = (row, i) => { const c = row.cells[i]; const t = c.dataset.value ?? c.textContent; const n = parseFloat(t); return Number.isNaN(n) ? t : n; };
  let down = false;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, i) => {
    if (head.textContent === "") return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      down = !down;
      const rows = [...body.rows].sort((a, b) => (key(a, i) > key(b, i) ? 1 : -1) * (down ? -1 : 1));
      body.append(...rows);
      for (const h of heads) h.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
`;
