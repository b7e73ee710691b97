/** The folder of a collection: `routing.json`, written whole, read with suspicion. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import type { Collection, LanguageRouting } from "./collection.ts";

/** The collection of a folder. */
export function collectionPath(folder: string): string {
  return join(folder, "routing.json");
}

/** @throws LolaError "failed" when the disk refuses */
export async function saveCollection(folder: string, collection: Collection): Promise<string> {
  const path = collectionPath(folder);
  const { languages, ...head } = collection;
  // One language a line: `grep` finds it, and no reader meets one line of megabytes.
  const lines = languages.map((language) => JSON.stringify(language)).join(",\n");
  const text = `${JSON.stringify(head).slice(0, -1)},"languages":[\n${lines}\n]}\n`;
  await saveFile(path, (output) => output.write(new TextEncoder().encode(text)));
  return path;
}

/**
 * @param path a folder that `lola routing collect` made, or the file in it
 * @throws LolaError "usage" where there is none; DataError "routing.file" where it is none of ours or is damaged
 */
export function readCollection(path: string): Collection {
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const file = folder ? collectionPath(path) : path;
  if (!existsSync(file))
    throw new LolaError(
      "usage",
      `${file}: no such file${folder ? "; the folder is no collection" : ""}`,
      "lola routing collect TEXTS -o run/",
    );
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new DataError("routing.file", `${file}: not valid JSON: ${(cause as Error).message}`, undefined, { cause });
  }
  const why = wrong(value);
  if (why !== undefined) throw new DataError("routing.file", `${file}: ${why}`, "lola routing collect makes it anew");
  return value as Collection;
}

type Fields = Record<string, unknown>;
const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isShare = (value: unknown) => typeof value === "number" && value >= 0 && value <= 1;

/** What is wrong with what should be a collection, if anything. */
function wrong(value: unknown): string | undefined {
  if (!isRecord(value) || value.format !== 1) return "no collection of format 1";
  const { version, model, texts, experts, layers, languages } = value;
  const labelled = isRecord(model) && typeof model.label === "string" && typeof model.identity === "string";
  if (!labelled || typeof version !== "string" || typeof texts !== "string") return "no model, version and texts";
  if (!isCount(experts) || experts === 0 || !Array.isArray(layers) || layers.length === 0 || !layers.every(isCount))
    return "no layers of experts";
  if (!Array.isArray(languages) || languages.length === 0) return "no languages";
  let last = "";
  for (const language of languages as unknown[]) {
    const name = isRecord(language) ? language.language : undefined;
    if (typeof name !== "string" || name <= last) return `${JSON.stringify(name)} after ${JSON.stringify(last)}`;
    const why = wrongLanguage(language as Fields, layers.length, experts);
    if (why !== undefined) return `${name}: ${why}`;
    last = name;
  }
  return undefined;
}

function wrongLanguage(language: Fields, layers: number, experts: number): string | undefined {
  const { documents, bytes, tokens, counts, probability, entropy, favourites, common } = language as Fields &
    Partial<LanguageRouting>;
  if (![documents, bytes, tokens].every(isCount) || tokens === 0) return "no counts of documents, bytes and tokens";
  const table = (rows: unknown, holds: (cell: unknown) => boolean) =>
    Array.isArray(rows) &&
    rows.length === layers &&
    rows.every((row: unknown) => Array.isArray(row) && row.length === experts && row.every(holds));
  if (!table(counts, isCount)) return `counts are not ${layers} layers of ${experts} experts`;
  if (counts!.some((layer) => layer.reduce((sum, count) => sum + count, 0) !== tokens))
    return `counts do not add up to ${tokens} tokens`;
  if (!table(probability, isShare)) return `probabilities are not ${layers} layers of ${experts} experts`;
  const known = Array.isArray(entropy) && entropy.length === layers && entropy.every((nats) => nats >= 0);
  if (!known) return `no entropy of ${layers} layers`;
  if (!table(favourites, isFavourites)) return "no favourites of each expert";
  return Array.isArray(common) && common.length > 0 && common.every(isTokenCount) ? undefined : "no common tokens";
}

const isFavourites = (cell: unknown) =>
  Array.isArray(cell) &&
  cell.every(
    (liked: unknown) =>
      isRecord(liked) &&
      typeof liked.text === "string" &&
      isCount(liked.token) &&
      isCount(liked.count) &&
      isCount(liked.of),
  );

const isTokenCount = (pair: unknown) =>
  Array.isArray(pair) && pair.length === 2 && pair.every(isCount) && pair[1] !== 0;
