/** `lola import`: a model folder in the published layout → one `.lola` file. */
import { existsSync, mkdirSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { LolaError } from "../../base/errors.ts";
import type { ImportReport } from "../../checkpoint/import.ts";
import { isPeft } from "../adapters.ts";
import type { ImportedAdapter } from "../adapters-files.ts";
import { askText, tellEquivalent } from "../ask.ts";
import { required } from "../context.ts";
import { modelFlag } from "../flags.ts";
import { openNamed } from "../model.ts";
import type { Notes } from "../streams.ts";
import { bytes, grouped, table } from "../style.ts";
import { defineCommand } from "../table.ts";

export interface Imported extends ImportReport {
  path: string;
}

/** How many tensors with changed values are named one by one. */
const named = 10;

export const importCommand = defineCommand({
  name: "import",
  summary: "makes one .lola file of a model folder, or of PEFT's",
  examples: [
    { line: "lola import lola_v1/ -o lola_v1.lola", doc: "config.json, safetensors and tokenizer, as published" },
    { line: "lola import lola_v1/ --dtype f16", doc: "half the size, into the folder of models" },
    { line: "lola import adapter/ -m lola_v1 -o a.lola", doc: "an adapter that PEFT wrote, and the model it is for" },
  ],
  args: [
    {
      name: "dir",
      doc: "folder with config.json, *.safetensors and a tokenizer, or with adapter_config.json",
      complete: "directory",
    },
  ],
  flags: {
    output: {
      type: "text",
      value: "FILE",
      short: "o",
      doc: "where to write (default: NAME.lola in the folder of models)",
      complete: "file",
    },
    dtype: {
      type: "choice",
      value: "TYPE",
      choices: ["f32", "f16", "bf16"],
      doc: "type of the weights (default: as stored)",
    },
    store: {
      type: "choice",
      value: "HOW",
      choices: ["zstd", "raw"],
      default: "zstd",
      doc: "compressed, or as it is",
    },
    force: { type: "flag", doc: "replace the file if it exists" },
    model: { ...modelFlag.model, doc: "of an adapter: the model that it is for (default: the built-in one)" },
  },
  notes: [
    "Memory stays small whatever the size. A narrower type is checked weight by weight, and what is not exact is told.",
  ],
  async run(context): Promise<Imported | ImportedAdapter> {
    const { flags, notes } = context;
    let [dir] = context.args;
    if (dir === undefined && context.interactive) {
      dir = await askText("Which folder holds the model?", "lola_v1/");
      tellEquivalent(notes, ["import", ...context.words, dir]);
    }
    const folder = required(dir, "the folder of the model", "lola import DIR -o model.lola");
    const { namedFile } = await import("../../checkpoint/models.ts");
    const path = flags.output ?? newFile(namedFile(basename(resolve(folder))));
    if (!isPeft(folder)) return importInto(folder, path, flags, notes);
    if (flags.dtype)
      throw new LolaError("usage", `${folder} holds an adapter, which stays f32`, "lola import without --dtype");
    const { importAdapter } = await import("../adapters-files.ts");
    return importAdapter(folder, path, flags, notes);
  },
  show: (imported) => ("adapter" in imported ? showImportedAdapter(imported) : showImported(imported)),
});

function showImportedAdapter({ path, fileBytes, adapter }: ImportedAdapter): string {
  const { rank, modules, base } = adapter;
  return `${path}: ${bytes(fileBytes)}, an adapter of ${base.name}: rank ${rank}, ${grouped(modules)} matrices`;
}

/** The path again, its folder made: the folder of models may not be there yet. */
export function newFile(path: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return path;
}

/** Imports a folder (or any model that can be read) into a file. */
export async function importInto(
  from: string,
  path: string,
  options: { dtype?: "f32" | "f16" | "bf16" | undefined; store?: "zstd" | "raw"; force: boolean },
  notes: Notes,
): Promise<Imported> {
  if (existsSync(path) && !options.force)
    throw new LolaError("usage", `${path} exists`, "--force to replace it, or -o FILE");
  const { importModel } = await import("../../checkpoint/import.ts");
  const source = await openNamed(from, notes);
  try {
    let done = 0;
    const total = [...source.tensors.values()].reduce((sum, t) => sum + t.bytes, 0);
    const report = await importModel(source, path, {
      ...(options.dtype && { type: options.dtype }),
      ...(options.store && { store: options.store }),
      progress(name, size) {
        notes.progress(`${Math.floor((100 * done) / total)} %  ${name}`);
        done += size;
      },
    });
    return { path, ...report };
  } finally {
    notes.progress("");
    source.close();
  }
}

export function showImported(imported: Imported): string {
  const { path, fileBytes, unpackedBytes, identity, losses, converted, notes } = imported;
  const lines = [`${path}: ${bytes(fileBytes)}, ${bytes(unpackedBytes)} of weights`, `identity ${identity}`];
  if (converted > 0) {
    lines.push(
      `${converted} tensors changed type, ${losses.length === 0 ? "all exactly" : `${losses.length} not exactly:`}`,
    );
  }
  const worst = [...losses].sort((a, b) => b.inexact / b.elements - a.inexact / a.elements);
  const rows = worst.slice(0, named).map((loss) => {
    const share = `${((100 * loss.inexact) / loss.elements).toPrecision(3)} %`;
    return [`  ${loss.name}`, share, `of weights changed, by ${loss.largestRelative.toExponential(1)} at most`];
  });
  if (rows.length > 0) lines.push(table(rows));
  if (worst.length > named) lines.push(`  and ${worst.length - named} more (--json lists all)`);
  for (const note of notes) lines.push(`note: ${note}`);
  return lines.join("\n");
}
