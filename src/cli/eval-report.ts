/** The page that `lola eval --report` writes: a bar with its interval for each language; it needs nothing but itself. */
import { saveFile } from "../base/atomic.ts";
import { escapeHtml, factList, page } from "../base/page.ts";
import { familyScores } from "../evaluate/language-scores.ts";
import type { LanguageScore, TextResults } from "../evaluate/results.ts";
import { bytes, grouped } from "./style.ts";

const styles = `
.whisker { position: absolute; top: 50%; height: 0; border-top: 2px solid var(--ink); print-color-adjust: exact; }
`;

/** @throws LolaError "failed" when the disk refuses */
export async function saveReport(path: string, results: TextResults): Promise<void> {
  await saveFile(path, (output) => output.write(new TextEncoder().encode(renderReport(results))));
}

/** The whole page. */
export function renderReport(results: TextResults): string {
  const { model, languages } = results;
  const body = `${factList(facts(results))}
<h2>Families</h2>
<p>Bits per byte, the mean over a family's languages, each counting alike; lower is better.</p>
${familyTable(languages)}
<h2>Languages</h2>
<p>Bits per byte and its 95 % interval by bootstrap, the line across a bar: of documents, or of paragraphs where a language has
fewer than 20 documents, which tells how the text at hand varies, not how another would. Texts differ between languages, and so do
bytes for one thing said: languages of one script compare best. A column's name sorts by it.</p>
${languageTable(languages)}`;
  return page(`lola eval: ${model.label}`, body, { styles });
}

function facts({ model, texts, languages, settings, device, version }: TextResults): [string, string][] {
  const sum = (of: (score: LanguageScore) => number) => languages.reduce((total, score) => total + of(score), 0);
  return [
    ["model", model.label],
    ["identity", model.identity.slice(0, 12)],
    ["texts", texts.name],
    ["languages", grouped(languages.length)],
    ["documents", grouped(sum((one) => one.documents))],
    ["text", `${bytes(sum((one) => one.bytes))}, ${grouped(sum((one) => one.tokens))} tokens`],
    ["bits per byte, mean of languages", (sum((one) => one.bitsPerByte) / languages.length).toFixed(4)],
    ...Object.entries(settings).map(([name, value]): [string, string] => [name, `${value}`]),
    ["device", `${device.kind}: ${device.name}`],
    ["lola", version],
  ];
}

const head = (...columns: [name: string, number?: true][]) =>
  `<thead><tr>${columns.map(([name, n]) => `<th scope="col"${n ? ' class="n"' : ""}>${name}</th>`).join("")}</tr></thead>`;
const number = (text: string) => `<td class="n">${text}</td>`;

function familyTable(languages: readonly LanguageScore[]): string {
  const rows = familyScores(languages).map(({ family, languages, bytes: size, meanBitsPerByte }) => {
    const cells = [grouped(languages.length), bytes(size), meanBitsPerByte.toFixed(4)].map(number).join("");
    return `<tr><th scope="row">${escapeHtml(family ?? "not known")}</th>${cells}</tr>`;
  });
  return `<table>${head(["family"], ["languages", true], ["text", true], ["bits per byte", true])}
<tbody>${rows.join("\n")}</tbody></table>`;
}

function languageTable(languages: readonly LanguageScore[]): string {
  const most = Math.max(...languages.map(({ bitsPerByte, interval }) => interval?.[1] ?? bitsPerByte));
  const rows = familyScores(languages).flatMap(({ languages }) => languages.map((score) => languageRow(score, most)));
  const columns = head(
    ["language"],
    ["name"],
    ["family"],
    ["bits per byte", true],
    ["from", true],
    ["to", true],
    [""],
    ["perplexity of a token", true],
    ["bytes", true],
  );
  return `<table class="sortable">${columns}
<tbody>${rows.join("\n")}</tbody></table>`;
}

function languageRow(score: LanguageScore, most: number): string {
  const { language, name, family, bitsPerByte, interval, perplexity, bytes: size } = score;
  const share = (value: number) => `${((100 * value) / most).toFixed(2)}%`;
  const whisker = interval
    ? `<div class="whisker" style="left:${share(interval[0])};width:${share(interval[1] - interval[0])}"></div>`
    : "";
  // The whisker's percentages are of the bar's own frame, as the bar's are.
  const bar = `<td aria-hidden="true" class="track"><div style="position:relative"><div class="bar" style="width:${share(bitsPerByte)}"></div>${whisker}</div></td>`;
  const [low, high] = interval?.map((bound) => bound.toFixed(4)) ?? ["", ""];
  const text = (cell: string | undefined) => `<td>${escapeHtml(cell ?? "")}</td>`;
  return `<tr><th scope="row">${escapeHtml(language)}</th>${text(name)}${text(family)}${number(bitsPerByte.toFixed(4))}${number(low!)}${number(high!)}${bar}${number(perplexity.toFixed(2))}<td class="n" data-value="${size}">${grouped(size)}</td></tr>`;
}
