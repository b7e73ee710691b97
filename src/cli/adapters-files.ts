/** Adapters on their way to PEFT's folder, and from there. */
import { existsSync, statSync } from "node:fs";
import { LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { type AdapterSource, saveAdapter } from "../checkpoint/adapter-file.ts";
import { exportPeft, importPeft } from "../checkpoint/peft.ts";
import type { TensorStream } from "../checkpoint/tensor.ts";
import { openAdapterAt } from "./adapters.ts";
import { type AdapterDescription, describeAdapter } from "./adapters-show.ts";
import { openNamed } from "./model.ts";
import type { Notes } from "./streams.ts";

export interface ImportedAdapter {
  path: string;
  fileBytes: number;
  adapter: AdapterDescription;
}

/**
 * PEFT's folder → an adapter of a model.
 * @param model default: the built-in one
 * @throws LolaError "usage" where there is such a file already; DataError as importPeft
 */
export async function importAdapter(
  folder: string,
  path: string,
  { model, force }: { model: string | undefined; force: boolean },
  notes: Notes,
): Promise<ImportedAdapter> {
  if (existsSync(path) && !force) throw new LolaError("usage", `${path} exists`, "--force to replace it, or -o FILE");
  const base = await openNamed(model, notes);
  try {
    const source = importPeft(folder, base, version);
    try {
      const { adapter, base, provenance } = source;
      await saveAdapter(path, { adapter, base, provenance }, streams(source));
      return { path, fileBytes: statSync(path).size, adapter: describeAdapter({ ...source, label: path }) };
    } finally {
      source.close();
    }
  } finally {
    base.close();
  }
}

function* streams({ tensors, read }: AdapterSource): Generator<TensorStream> {
  for (const { name, type, shape } of tensors.values()) yield { name, type, shape, pieces: read(name) };
}

/** An adapter → PEFT's folder. @returns the files in it, and how many tensors they hold */
export async function exportAdapter(named: string, folder: string): Promise<{ files: string[]; tensors: number }> {
  const adapter = await openAdapterAt(named);
  try {
    return { files: await exportPeft(adapter, folder), tensors: adapter.tensors.size };
  } finally {
    adapter.close();
  }
}
