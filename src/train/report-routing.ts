/** Of a run's report: where held-out text went while the model learnt, a heat map that can be played. */
import { escapeHtml } from "../base/page.ts";
import type { RoutingEvent } from "./routing-watch.ts";

/** Steps that are shown, at most: the page of a long run stays small. */
const mostFrames = 60;

/** Part of a page. */
export interface Section {
  body: string;
  styles: string;
  script: string;
}

const nothing: Section = { body: "", styles: "", script: "" };

/** @param layers numbers of the mixtures */
export function routingSection(events: readonly RoutingEvent[], layers: readonly number[], experts: number): Section {
  const last = events.at(-1);
  if (!last || layers.length === 0) return nothing;
  const names = Object.keys(last.languages).sort();
  const frames = spread(events).map(({ step, languages }) => ({
    step,
    shares: sharesOf(names.map((name) => languages[name]!)),
  }));
  const data = { names, layers, experts, frames };
  const rows = names.map((name) => {
    const cells = last.languages[name]!.map((counts) => {
      const most = Math.max(...counts);
      const share = (100 * most) / counts.reduce((a, b) => a + b, 0);
      return `<td class="n" data-value="${share}">${counts.indexOf(most)} (${share.toFixed(0)} %)</td>`;
    });
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells.join("")}</tr>`;
  });
  const heads = layers.map((layer) => `<th class="n">layer ${layer}</th>`);
  const first = `From step ${frames[0]!.step} to ${last.step}`;
  return {
    body: `<h2>Where languages go</h2>
<p>Share of each language's held-out tokens that each expert got, layer by layer: blue 0, white 1/${experts}, yellow 2/${experts}, red from 3/4. ${first}; arrow keys move through the steps.</p>
<figure class="watch"><div class="controls"><button type="button" aria-pressed="false">Play</button>
<label>step <input type="range" min="0" max="${frames.length - 1}" value="${frames.length - 1}"></label> <output>${last.step}</output></div>
<canvas role="img" aria-label="heat map of ${names.length} languages and ${layers.length} × ${experts} experts; the table below says each language's first expert"></canvas></figure>
<details><summary>Each language's first expert after step ${last.step}</summary>
<table class="sortable"><thead><tr><th>language</th>${heads.join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table></details>`,
    styles,
    script: `\n{ const data = ${JSON.stringify(data).replaceAll("<", "\\u003c")};${script}}\n`,
  };
}

/** The first, the last, and as many as fit evenly between them. */
function spread(events: readonly RoutingEvent[]): RoutingEvent[] {
  const count = Math.min(mostFrames, events.length);
  return Array.from(
    { length: count },
    (_, i) => events[Math.round((i * (events.length - 1)) / Math.max(1, count - 1))]!,
  );
}

/** A byte a cell, 255 for all of a language's tokens; base64. */
function sharesOf(languages: readonly RoutingEvent["languages"][string][]): string {
  const shares = languages.flatMap((layers) =>
    layers.flatMap((counts) => {
      const tokens = counts.reduce((a, b) => a + b, 0);
      return counts.map((count) => Math.round((255 * count) / tokens));
    }),
  );
  return Buffer.from(shares).toString("base64");
}

const styles = `
.watch canvas { width: 100%; max-width: 1100px; display: block; margin-top: .5em; }
.watch .controls { display: flex; gap: 1em; align-items: center; } .watch input { width: min(420px, 40vw); vertical-align: middle; }
@media print { .watch .controls button { display: none; } }
`;

/** Plays only when asked; slowly where less motion is wanted. */
const script = `
  const { names, layers, experts, frames } = data;
  const figure = document.querySelector(".watch");
  const [canvas, button, slider, output] = ["canvas", "button", "input", "output"].map((tag) => figure.querySelector(tag));
  const [tall, left, gap, top] = [11, 84, 8, 18];
  const cell = Math.max(3, Math.floor((1100 - left) / layers.length - gap) / experts);
  const ratio = 2;
  canvas.width = ratio * (left + layers.length * (experts * cell + gap));
  canvas.height = ratio * (top + names.length * tall);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const stops = [[0, 49, 99, 190], [1 / experts, 255, 255, 255], [2 / experts, 255, 225, 80], [Math.max(0.75, 3 / experts), 190, 20, 20]];
  const colours = Array.from({ length: 256 }, (_, byte) => {
    const share = Math.min(byte / 255, stops[3][0]);
    const i = share <= stops[1][0] ? 0 : share <= stops[2][0] ? 1 : 2;
    const [a, b] = [stops[i], stops[i + 1]];
    const part = (share - a[0]) / (b[0] - a[0]);
    return "rgb(" + [1, 2, 3].map((c) => Math.round(a[c] + part * (b[c] - a[c]))).join() + ")";
  });
  const bytes = frames.map(({ shares }) => Uint8Array.from(atob(shares), (c) => c.charCodeAt(0)));
  const draw = () => {
    const frame = +slider.value;
    const ink = getComputedStyle(document.body).color;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.font = "10px system-ui, sans-serif";
    pen.fillStyle = ink;
    layers.forEach((layer, l) => pen.fillText("layer " + layer, left + l * (experts * cell + gap), 11));
    names.forEach((name, row) => pen.fillText(name, 0, top + row * tall + 9));
    names.forEach((name, row) => layers.forEach((layer, l) => {
      for (let e = 0; e < experts; e++) {
        pen.fillStyle = colours[bytes[frame][(row * layers.length + l) * experts + e]];
        pen.fillRect(left + l * (experts * cell + gap) + e * cell, top + row * tall, cell, tall - 1);
      }
    }));
    output.textContent = frames[frame].step;
    slider.setAttribute("aria-valuetext", "step " + frames[frame].step);
  };
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let timer;
  const pause = () => { clearInterval(timer); timer = undefined; button.textContent = "Play"; button.setAttribute("aria-pressed", "false"); };
  const play = () => {
    if (+slider.value === frames.length - 1) slider.value = 0;
    draw();
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    timer = setInterval(() => { slider.value = +slider.value + 1; draw(); if (+slider.value === frames.length - 1) pause(); }, calm.matches ? 1500 : 300);
  };
  button.addEventListener("click", () => (timer === undefined ? play() : pause()));
  slider.addEventListener("input", () => { pause(); draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
`;
