/** A model in the published layout: a folder with config.json, safetensors (one file, or shards with an index) and a tokenizer. */
import * as fs from "node:fs";
import { basename, join, resolve } from "node:path";
import { DataError, LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { unreadable } from "./bytes.ts";
import { fromHfConfig } from "./hf-config.ts";
import { checkTensors } from "./layout.ts";
import { openSafeTensors, type SafeTensor, type SafeTensorsFile } from "./safetensors.ts";
import { identityOf, type ModelSource, tensorHashes } from "./source.ts";
import type { TensorInfo } from "./tensor.ts";

/** Names of tokenizer files → their text → the tokenizer, and how many ids it has. The tokenizer's own folder knows how. */
export type ParseTokenizer = (files: Partial<Record<string, string>>) => { data: unknown; size: number };

/** Files that a tokenizer may be made of. */
export const tokenizerFiles = [
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "tokenizer_config.json",
  "special_tokens_map.json",
] as const;

export const weightsFile = "model.safetensors";
export const indexFile = "model.safetensors.index.json";
/** Written into downloaded folders: where they came from. */
export const originFile = "lola-origin.json";

const largestJson = 64 << 20;

/** Whether a folder looks like the published layout. */
export function isHfFolder(folder: string): boolean {
  return fs.existsSync(join(folder, "config.json"));
}

/**
 * Opens a folder; headers are read and checked, weights are not.
 * @throws DataError naming the file at fault
 */
export function openHfFolder(folder: string, parseTokenizer: ParseTokenizer): ModelSource {
  const tokenizer = readTokenizer(folder, parseTokenizer);
  const configPath = join(folder, "config.json");
  const { config, tied, notes } = fromHfConfig(readJson(configPath), tokenizer.size, configPath);
  const shards = shardNames(folder).map((name) => ({ name, file: undefined as SafeTensorsFile | undefined }));
  const close = () => {
    for (const shard of shards) shard.file?.close();
  };
  try {
    const stored = new Map<string, SafeTensor>();
    for (const shard of shards) {
      shard.file = openSafeTensors(join(folder, shard.name));
      for (const [name, tensor] of shard.file.tensors) {
        const ours = name.replace(/^transformer\./, "");
        if (stored.has(ours))
          throw new DataError("tensor.double", `${join(folder, shard.name)}: ${name} is there twice`);
        stored.set(ours, tensor);
      }
    }
    notes.push(...dropSurplus(stored, tied, folder));
    const tensors = new Map<string, TensorInfo>();
    for (const [name, { type, dtype, shape, bytes }] of stored) {
      if (!type)
        throw new DataError(
          "tensor.type",
          `${folder}: ${name} is ${dtype}; only F32, F16 and BF16 weights can be read`,
        );
      tensors.set(name, { name, type, shape, bytes });
    }
    checkTensors(config, tensors, folder);
    const read = (name: string) => {
      const tensor = stored.get(name);
      if (!tensor) throw new RangeError(`no tensor ${name}`);
      return tensor.read();
    };
    let identity: string | undefined;
    return {
      label: folder,
      config,
      tokenizer: tokenizer.data,
      provenance: { made: "published", from: originOf(folder), version, notes: [] },
      tensors,
      notes,
      read,
      get identity() {
        return (identity ??= identityOf(config, tokenizer.data, tensorHashes(tensors, read)));
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Takes out what the layout may hold beyond the model: causal masks, and a head that is the embedding again. */
function dropSurplus(stored: Map<string, SafeTensor>, tied: boolean, label: string): string[] {
  const notes: string[] = [];
  const masks = [...stored.keys()].filter((name) => /^h\.\d+\.attn\.(masked_)?bias$/.test(name));
  for (const name of masks) stored.delete(name);
  if (masks.length > 0) notes.push(`ignored ${masks.length} causal masks (attn.bias, attn.masked_bias)`);
  const head = stored.get("lm_head.weight");
  const embedding = stored.get("wte.weight");
  stored.delete("lm_head.weight");
  if (head && embedding && sameContent(head, embedding)) {
    notes.push(`ignored lm_head.weight, which equals wte.weight`);
  } else if (!tied) {
    const found = head ? "lm_head.weight differs from wte.weight" : "there is no lm_head.weight";
    throw new DataError(
      "config.tie_word_embeddings",
      `${label}: tie_word_embeddings is false and ${found}; only tied models can be read`,
    );
  } else if (head) {
    notes.push(`ignored lm_head.weight, which differs from wte.weight, because the config ties them`);
  }
  return notes;
}

function sameContent(a: SafeTensor, b: SafeTensor): boolean {
  if (a.type !== b.type || a.shape.join() !== b.shape.join()) return false;
  const others = b.read();
  for (const piece of a.read()) if (Buffer.compare(piece, others.next().value as Uint8Array) !== 0) return false;
  return true;
}

/** Weight files of a folder, in order. */
function shardNames(folder: string): string[] {
  if (fs.existsSync(join(folder, weightsFile))) return [weightsFile];
  const index = join(folder, indexFile);
  if (fs.existsSync(index)) return shardsOf(readJson(index), index);
  const pickle = fs.readdirSync(folder).find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickle) {
    throw new DataError(
      "weights.pickle",
      `${folder} holds ${pickle}: pickle files can run code and are never read`,
      "convert it to safetensors on a machine you trust",
    );
  }
  throw new DataError("weights.missing", `${folder} has no ${weightsFile} and no ${indexFile}`);
}

/**
 * Weight files that an index names, in order.
 * @throws DataError "index.…" for names that are no plain file names
 */
export function shardsOf(index: unknown, label: string): string[] {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map))
    throw new DataError("index.json", `${label} has no weight_map`);
  const names = [...new Set<unknown>(Object.values(map))].sort();
  for (const name of names) {
    if (typeof name !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$/.test(name)) {
      throw new DataError("index.name", `${label} names the weight file ${String(JSON.stringify(name)).slice(0, 80)}`);
    }
  }
  if (names.length === 0) throw new DataError("index.json", `${label} names no weight file`);
  return names as string[];
}

function readTokenizer(folder: string, parse: ParseTokenizer): { data: unknown; size: number } {
  const files: Partial<Record<string, string>> = {};
  for (const name of tokenizerFiles) {
    const path = join(folder, name);
    if (fs.existsSync(path)) files[name] = readText(path);
  }
  try {
    return parse(files);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(error.code, `${folder}: ${error.message}`, error.hint, { cause: error });
  }
}

function originOf(folder: string): string {
  const path = join(folder, originFile);
  if (!fs.existsSync(path)) return `Hugging Face folder ${basename(resolve(folder))}`;
  const { repository, revision } = readJson(path) as { repository?: unknown; revision?: unknown };
  return `${repository}@${revision}`;
}

function readText(path: string): string {
  try {
    const { size } = fs.statSync(path);
    if (size > largestJson)
      throw new DataError("file.length", `${path} has ${size} bytes, at most ${largestJson} for a text file`);
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    throw error instanceof LolaError ? error : unreadable(path, error);
  }
}

/** The value of a JSON file. @throws DataError "file.json" */
export function readJson(path: string): unknown {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError("file.json", `${path} is no JSON: ${(cause as Error).message}`, undefined, { cause });
  }
}
