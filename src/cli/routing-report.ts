/** The work of `lola routing report`: the page of a collection, and each of its figures as SVG, PNG, CSV and JSON. */
import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { LolaError } from "../base/errors.ts";
import { languages } from "../data/languages.ts";
import { type Claim, testClaim } from "../routing/claim.ts";
import { favouritesCsv } from "../routing/favourites.ts";
import { csv, json } from "../routing/figures/figure.ts";
import { png } from "../routing/figures/png.ts";
import { findings } from "../routing/findings.ts";
import { readCollection } from "../routing/folder.ts";
import { renderReport } from "../routing/report.ts";
import type { RoutingContext } from "./routing-flags.ts";

export interface Reported {
  /** The page, and the folder of the figures. */
  report: string;
  figures: string;
  /** Stems of the figures' files. */
  names: string[];
  findings: string[];
  claim: Claim;
}

/** @throws LolaError, DataError */
export async function reportRouting(context: RoutingContext): Promise<Reported> {
  const { args, flags, notes } = context;
  const [run, ...more] = args;
  const example = "lola routing report run/";
  if (run === undefined || more.length > 0)
    throw new LolaError("usage", `report takes one collection, not ${args.length}`, example);
  const signal = context.cancellation();
  const collection = readCollection(run);
  const folder = flags.output ?? (statSync(run).isDirectory() ? run : dirname(run));
  const figuresFolder = join(folder, "figures");
  try {
    const table = await languages();
    const progress = (done: number, all: number) => notes.progress(`testing, ${done} of ${all}`);
    const claim = await testClaim(collection, table, { progress, signal });
    notes.progress("drawing");
    const { html, figures } = renderReport(collection, table, claim);
    makeFolder(figuresFolder);
    const save = (path: string, content: string | Uint8Array) => {
      signal.throwIfAborted();
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      return saveFile(path, (output) => output.write(bytes));
    };
    for (const figure of figures) {
      notes.progress(`writing ${figure.name}`);
      const stem = join(figuresFolder, figure.name);
      await save(`${stem}.svg`, figure.svg);
      await save(`${stem}.png`, await png(figure.svg));
      await save(`${stem}.csv`, csv(figure.table));
      await save(`${stem}.json`, json(figure));
    }
    await save(join(figuresFolder, "favourites.csv"), favouritesCsv(collection));
    const report = join(folder, "report.html");
    await save(report, html);
    return {
      ...{ report, figures: figuresFolder, names: figures.map(({ name }) => name) },
      ...{ findings: findings(claim), claim },
    };
  } finally {
    notes.progress("");
  }
}

/** @throws LolaError "failed" when the disk refuses */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new LolaError("failed", `cannot make ${path}: ${(cause as Error).message}`, "-o FOLDER elsewhere", { cause });
  }
}
