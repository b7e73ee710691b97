/** Which files a corpus is made of, in what language each is, and what tells its content from another's. */
import { readdirSync, renameSync, statSync } from "node:fs";
import { basename, join, relative, resolve, sep } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { Sha256 } from "../base/hash.ts";

/** One file of documents. */
export interface Source {
  path: string;
  /** As named by the user, for messages. */
  label: string;
  /** Language of documents that do not tell theirs. */
  language: string;
  format: "text" | "jsonl";
  compression: "gzip" | "zstd" | undefined;
  /** Size of the file. */
  bytes: number;
  /** Changes when the content does: path, size and time of the last change; of stdin the hash. */
  identity: string;
}

/** ISO 639-3 for "undetermined". */
const unknownLanguage = "und";

const compressions = new Map<string, Source["compression"]>([
  ["gz", "gzip"],
  ["zst", "zstd"],
]);
const formats = new Map<string, Source["format"]>([
  ["txt", "text"],
  ["text", "text"],
  ["jsonl", "jsonl"],
  ["ndjson", "jsonl"],
]);

/** `swa`, `cmn_hans`, `be-tarask`: two or three small letters, and what follows a hyphen or an underscore. */
const tag = /^[a-z]{2,3}([-_][A-Za-z0-9]{1,8})*$/;

/** What the name of a file says: of its first word the language, of its endings the rest. */
function parseName(name: string) {
  const words = name.split(".");
  const ending = (at: number) => (words[words.length - at] ?? "").toLowerCase();
  const compression = compressions.get(ending(1));
  const format = formats.get(ending(compression ? 2 : 1));
  return { stem: words[0]!, compression, format };
}

/** The nearest name that is a language tag, going up. */
function languageOf(names: readonly string[]): string {
  return names.findLast((name) => tag.test(name)) ?? unknownLanguage;
}

function sourceOf(path: string, label: string, folders: readonly string[]): Source {
  const { stem, compression, format = "text" } = parseName(basename(path));
  const { size, mtimeMs } = statSync(path);
  const identity = `${resolve(path)} ${size} ${mtimeMs}`;
  return { path, label, language: languageOf([...folders, stem]), format, compression, bytes: size, identity };
}

/** Files of documents in a folder and in those below, by name; hidden ones and other kinds are left out. */
function walk(folder: string, root: string): Source[] {
  const below = relative(root, folder);
  const names = [basename(resolve(root)), ...(below === "" ? [] : below.split(sep))];
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return walk(path, root);
      return parseName(entry.name).format && statSync(path).isFile() ? [sourceOf(path, path, names)] : [];
    });
}

/** Keeps stdin in a file, so that it can be read again. */
async function spool(folder: string, stdin: AsyncIterable<Uint8Array>): Promise<Source> {
  const hash = new Sha256();
  const draft = join(folder, `stdin-${process.pid}`);
  let format: Source["format"] | undefined;
  let bytes = 0;
  await saveFile(draft, async (output) => {
    for await (const chunk of stdin) {
      hash.update(chunk);
      output.write(chunk);
      format ??= firstCharacter(chunk) === "{" ? "jsonl" : firstCharacter(chunk) === "" ? undefined : "text";
    }
    bytes = output.length;
  });
  const identity = `stdin ${hash.hex()}`;
  const path = join(folder, identity.replace(" ", "-"));
  renameSync(draft, path);
  const language = unknownLanguage;
  return { path, label: "stdin", language, format: format ?? "text", compression: undefined, bytes, identity };
}

function firstCharacter(chunk: Uint8Array): string {
  return new TextDecoder().decode(chunk).trimStart().slice(0, 1);
}

/**
 * The files that `paths` name. A folder stands for all `.txt` and `.jsonl` files in it and below, also with `.gz` or `.zst`;
 * each is in the language that its name begins with (`swa.txt`), or else the folder nearest to it (`swa/part-1.txt`).
 * `-` is stdin: JSONL if it begins with `{`, else text.
 * @param cacheFolder where stdin is kept
 * @throws LolaError "usage" for a path that is not there; DataError (data.empty) for a folder without documents
 */
export async function findSources(
  paths: readonly string[],
  cacheFolder: string,
  stdin: () => AsyncIterable<Uint8Array> = () => Bun.stdin.stream(),
): Promise<Source[]> {
  const found: Source[] = [];
  for (const path of paths) {
    if (path === "-") {
      found.push(await spool(cacheFolder, stdin()));
      continue;
    }
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat)
      throw new LolaError("usage", `${path}: no such file or folder`, "text files, JSONL files or folders of them");
    if (!stat.isDirectory()) {
      if (/\.json(\.gz|\.zst)?$/i.test(path)) {
        throw new LolaError("usage", `${path}: one JSON value, not JSONL`, `jq -c '.[]' ${path} > documents.jsonl`);
      }
      found.push(sourceOf(path, path, []));
      continue;
    }
    const inside = walk(path, path);
    if (inside.length === 0) throw new DataError("data.empty", `${path}: no .txt or .jsonl files in this folder`);
    found.push(...inside);
  }
  return found;
}
