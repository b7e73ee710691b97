/** The user's models by name: files `NAME.lola` in one folder, and downloaded folders `OWNER/NAME` below `hub`. */
import * as fs from "node:fs";
import { join } from "node:path";
import { DataError, LolaError } from "../base/errors.ts";
import { places } from "../base/paths.ts";
import { openAdapter } from "./adapter-file.ts";
import { fileBytes } from "./bytes.ts";
import type { ModelConfig } from "./config.ts";
import { isHfFolder } from "./hf-folder.ts";
import { type ParameterCounts, parameterCounts } from "./layout.ts";
import { openLola } from "./lola-file.ts";
import type { ModelSource, Provenance } from "./source.ts";
import type { TensorInfo } from "./tensor.ts";

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const repositoryPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** The folder of models, unless told otherwise. */
export function modelFolder(): string {
  return places().models;
}

/**
 * Where the model of that name is, or would be.
 * A path is one that exists, holds a separator, or ends in `.lola`; other names are looked up in the folder of models.
 * @throws LolaError "usage" for a name that can be neither
 */
export function modelPath(name: string, folder = modelFolder()): string {
  if (name !== "" && fs.existsSync(name)) return name;
  if (repositoryPattern.test(name) && fs.existsSync(hubFolder(name, folder))) return hubFolder(name, folder);
  if (/[/\\]/.test(name) || name.endsWith(".lola")) return name;
  return namedFile(name, folder);
}

/** The file of a model in the folder of models. @throws LolaError "usage" for a name that is no plain file name */
export function namedFile(name: string, folder = modelFolder()): string {
  if (!namePattern.test(name))
    throw new LolaError("usage", `${JSON.stringify(name)} is no model name`, "letters, digits, . _ -");
  return join(folder, `${name}.lola`);
}

/** The folder that `OWNER/NAME` is downloaded into. @throws LolaError "usage" for any other form */
export function hubFolder(repository: string, folder = modelFolder()): string {
  if (!repositoryPattern.test(repository)) {
    throw new LolaError(
      "usage",
      `${JSON.stringify(repository)} is no repository`,
      "OWNER/NAME, for example dice-research/lola_v1",
    );
  }
  return join(folder, "hub", ...repository.split("/"));
}

export interface ModelEntry {
  name: string;
  path: string;
  /** Bytes on disk. */
  bytes: number;
  kind: "file" | "folder";
  /** Of files that can be read. */
  config?: ModelConfig;
  identity?: string;
  /** Of adapters: the name of the model that they are for. */
  adapterOf?: string;
  /** Why a file cannot be read. */
  problem?: string;
}

/** All models of a folder, by name. */
export function listModels(folder = modelFolder()): ModelEntry[] {
  const files = names(folder)
    .filter((name) => name.endsWith(".lola") && !name.startsWith("."))
    .map((name): ModelEntry => {
      const path = join(folder, name);
      const entry = {
        name: name.slice(0, -".lola".length),
        path,
        bytes: fs.statSync(path).size,
        kind: "file" as const,
      };
      try {
        const model = openLola(fileBytes(path));
        const { config, identity } = model;
        model.close();
        return { ...entry, config, identity };
      } catch (error) {
        if (!(error instanceof LolaError)) throw error;
        const adapterOf = baseOf(path, error);
        if (adapterOf !== undefined) return { ...entry, adapterOf };
        return { ...entry, problem: error.message };
      }
    });
  const hub = join(folder, "hub");
  const folders = names(hub)
    .flatMap((owner) => names(join(hub, owner)).map((name) => `${owner}/${name}`))
    .map((name) => ({ name, path: join(hub, name) }))
    .filter(({ path }) => isHfFolder(path))
    .map(({ name, path }): ModelEntry => ({ name, path, bytes: folderBytes(path), kind: "folder" }));
  return [...files, ...folders];
}

/** The model that the adapter in a file is for, where that is why the file holds no model. */
function baseOf(path: string, refusal: LolaError): string | undefined {
  if (!(refusal instanceof DataError && refusal.code === "header.kind")) return undefined;
  try {
    const { base, close } = openAdapter(fileBytes(path));
    close();
    return base.name;
  } catch (error) {
    if (error instanceof LolaError) return undefined;
    throw error;
  }
}

/**
 * Removes a model of the folder of models.
 * @returns what was there
 * @throws LolaError "usage" if there is none of that name; files elsewhere are never removed
 */
export function removeModel(name: string, folder = modelFolder()): ModelEntry {
  const entry = listModels(folder).find((model) => model.name === name);
  if (!entry) throw new LolaError("usage", `no model named ${JSON.stringify(name)} in ${folder}`, "lola models list");
  fs.rmSync(entry.path, { recursive: true });
  return entry;
}

export interface ModelDescription {
  label: string;
  identity: string;
  config: ModelConfig;
  parameters: ParameterCounts;
  /** Bytes of all tensors, unpacked. */
  bytes: number;
  tensors: TensorInfo[];
  provenance: Provenance;
  /** Languages whose routing was counted; none without a profile. */
  languages: string[];
  notes: string[];
}

/** What `lola models show` tells; a folder's identity takes reading all of it. */
export function describeModel(model: ModelSource): ModelDescription {
  const tensors = Array.from(model.tensors.values(), ({ name, type, shape, bytes }) => ({ name, type, shape, bytes }));
  return {
    label: model.label,
    identity: model.identity,
    config: model.config,
    parameters: parameterCounts(model.config),
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors,
    provenance: model.provenance,
    languages: [...(model.routing?.keys() ?? [])],
    notes: [...model.notes],
  };
}

function names(folder: string): string[] {
  return fs.existsSync(folder) && fs.statSync(folder).isDirectory() ? fs.readdirSync(folder).sort() : [];
}

function folderBytes(folder: string): number {
  return names(folder).reduce((sum, name) => sum + fs.statSync(join(folder, name)).size, 0);
}
