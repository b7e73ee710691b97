/** How a routing report looks beyond what every page does: figures in the dark, by keyboard, on paper. */

export const styles = `
nav ol { display: flex; flex-wrap: wrap; gap: .2em 1.4em; list-style: none; padding: 0; } nav a { color: inherit; }
.lead { font-size: 1.05em; max-width: 52em; } .findings li { margin: .35em 0; max-width: 56em; }
section > figure { margin: 1.4em 0; } .pair { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(520px, 100%), 1fr)); gap: 1em; }
figcaption p { font-weight: 400; color: var(--soft); margin: .2em 0 .6em; max-width: 62em; }
figure svg { display: block; }
svg text.ink { fill: var(--ink); } svg text.soft { fill: var(--soft); } svg .ground { fill: var(--back); }
svg .rule, svg .frame { stroke: var(--line); } svg .reference { stroke: var(--ink); }
svg .cursor { fill: none; stroke: #000; stroke-width: 1.5; outline: 1px solid #fff; }
svg .chosen .mark { stroke: var(--ink); stroke-width: 2; } svg .chosen text { font-weight: 700; }
svg:focus-visible, select:focus-visible, button:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px; }
.controls { display: flex; flex-wrap: wrap; gap: .6em 1.6em; align-items: center; margin: .8em 0; }
.controls label { font-size: .9em; } select, .files button { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--soft); border-radius: 4px; padding: .2em .5em; }
output { display: block; min-height: 1.5em; font-size: .9em; font-variant-numeric: tabular-nums; }
.files { display: flex; gap: .5em; align-items: baseline; font-size: .85em; margin-top: .4em; } .files details { flex: 1; min-width: 0; }
.files .scroll { max-height: 30em; overflow: auto; } .files table { max-width: none; width: auto; font-size: .9em; }
#favourites { max-width: 34em; } .token { font-family: ui-monospace, monospace; white-space: pre; }
.skip { position: absolute; left: -999em; } .skip:focus { left: 1em; top: 1em; background: var(--back); padding: .5em; }
@media print { nav, .controls, .files, output, #tokens { display: none; } .pair { grid-template-columns: 1fr 1fr; } section > h2 { break-after: avoid; }
  figure svg { max-height: 20cm; } svg * { print-color-adjust: exact; } }
@media (prefers-reduced-motion: no-preference) { .rows .row { transition: transform .5s ease; } }
`;
