/** The page that `lola quantize --report` writes: sizes, a pair of bars for each language, routing; it needs nothing else. */
import { saveFile } from "../base/atomic.ts";
import { escapeHtml, factList, page } from "../base/page.ts";
import type { Measured } from "./quantize-measure.ts";
import { kindRows, type Quantized, signed } from "./quantize-show.ts";
import { bytes, grouped, percent } from "./style.ts";

const ownStyles = `
.track .bar + .bar { margin-top: 2px; } .bar.before { background: var(--soft); opacity: .6; }
.legend i { height: .8em; border-radius: 2px; background: var(--bar); } .legend i.before { background: var(--soft); opacity: .6; }
`;

/** @throws LolaError "failed" when the disk refuses */
export async function saveReport(path: string, result: Quantized): Promise<void> {
  await saveFile(path, (output) => output.write(new TextEncoder().encode(renderReport(result))));
}

/** The whole page. */
export function renderReport(result: Quantized): string {
  const body = `${summary(result)}
<h2>Weights</h2>
${kindTable(result)}
${result.measured ? languageTable(result.measured) + routingTable(result.measured) : "<p>What it cost was not measured.</p>"}`;
  return page(`lola quantize: ${result.path}`, body, { styles: ownStyles });
}

function summary({ model, identity, fileBytes, before, after, measured, device }: Quantized): string {
  const facts: [string, string][] = [
    ["made from", model],
    ["identity", identity.slice(0, 12)],
    ["file", bytes(fileBytes)],
    ["weights", `${bytes(after)}, before ${bytes(before)}`],
    ...(measured ? measuredFacts(measured) : []),
    ["device", `${device.kind}: ${device.name}`],
  ];
  return factList(facts);
}

function measuredFacts({ text, bytes: size, languages, meanChange, worst, sameBest }: Measured): [string, string][] {
  return [
    ["measured on", `${text}: ${grouped(languages.length)} languages, ${bytes(size)}`],
    ["bits per byte, on average", signed(meanChange)],
    ["bits per byte, at worst", `${signed(worst.change)} in ${worst.language}`],
    ["same likeliest token", percent(sameBest)],
  ];
}

const head = (...columns: string[]) =>
  `<thead><tr>${columns.map((name, i) => `<th scope="col"${i > 0 ? ' class="n"' : ""}>${name}</th>`).join("")}</tr></thead>`;
const number = (text: string) => `<td class="n">${text}</td>`;

function kindTable(result: Quantized): string {
  const rows = kindRows(result).map(([kind, { tensors, before, after, nmse }]) => {
    const cells = [grouped(tensors), bytes(before), bytes(after), nmse.toExponential(1)].map(number).join("");
    return `<tr><th scope="row">${kind}</th>${cells}</tr>`;
  });
  return `<table>${head("matrices", "number", "before", "after", "NMSE")}<tbody>${rows.join("\n")}</tbody></table>
<p>${result.types.map(escapeHtml).join("; ")}.</p>`;
}

function languageTable({ languages }: Measured): string {
  const most = Math.max(...languages.flatMap(({ before, after }) => [before, after]));
  const bar = (kind: string, bits: number) =>
    `<div class="bar ${kind}" style="width:${((100 * bits) / most).toFixed(1)}%"></div>`;
  const rows = languages
    .toSorted((a, b) => b.change - a.change)
    .map(({ language, before, after, change, bytes: size }) => {
      const bars = `<td class="track" aria-hidden="true">${bar("before", before)}${bar("after", after)}</td>`;
      const cells = number(before.toFixed(4)) + number(after.toFixed(4)) + bars;
      const share = `<td class="n" data-value="${change}">${signed(change)}</td>`;
      return `<tr><th scope="row">${escapeHtml(language)}</th>${cells}${share}${number(grouped(size))}</tr>`;
    });
  return `<h2>Languages</h2>
<p>Bits per byte of held-out text (lower is better), those that lost most first; a column's name sorts by it.</p>
<div class="legend"><span><i class="before"></i>before</span><span><i></i>after</span></div>
<table class="sortable">${head("language", "before", "after", "", "change", "bytes")}
<tbody>${rows.join("\n")}</tbody></table>`;
}

function routingTable({ routing }: Measured): string {
  if (routing.length === 0) return "";
  const rows = routing.map(({ layer, same }) => `<tr><th scope="row">layer ${layer}</th>${number(percent(same))}</tr>`);
  return `<h2>Routing</h2>
<p>Share of tokens that went to the same expert as before.</p>
<table>${head("layer", "same expert")}<tbody>${rows.join("\n")}</tbody></table>`;
}
