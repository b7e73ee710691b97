/** Which files a corpus is made of, in what language each is, and what tells its content from another's. */
import { readdirSync, renameSync, statSync } from "node:fs";
import { basename, join, relative, resolve, sep } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { Sha256 } from "../base/hash.ts";
import { readBytes } from "./lines.ts";

export type DocumentFormat = "text" | "jsonl";

/** One file of data. */
export interface Source<Format extends string = DocumentFormat> {
  path: string;
  /** As named by the user, for messages. */
  label: string;
  /** Language of documents that do not tell theirs. */
  language: string;
  format: Format;
  compression: Compression | undefined;
  /** Size of the file. */
  bytes: number;
  /** Changes when the content does: path, size and time of the last change; of stdin the hash. */
  identity: string;
}

type Compression = "gzip" | "zstd";

/** Which formats files may have, and how each is known. */
export interface Formats<Format extends string> {
  /** Ending of a name → format. */
  endings: ReadonlyMap<string, Format>;
  /** Of a named file with another ending. */
  other: Format;
  /** Format of stdin, from how it begins. */
  sniff(head: Uint8Array): Format;
}

/** Formats of documents, as pre-training reads them. */
const documents: Formats<DocumentFormat> = {
  endings: new Map<string, DocumentFormat>([
    ["txt", "text"],
    ["text", "text"],
    ["jsonl", "jsonl"],
    ["ndjson", "jsonl"],
  ]),
  other: "text",
  sniff: (head) => (firstCharacter(head) === "{" ? "jsonl" : "text"),
};

/** ISO 639-3 for "undetermined". */
const unknownLanguage = "und";

const compressions: readonly { ending: string; magic: string; compression: Compression }[] = [
  { ending: "gz", magic: "1f8b", compression: "gzip" },
  { ending: "zst", magic: "28b52ffd", compression: "zstd" },
];

/** Is this a name for a language, that a file may be named by? */
export function isLanguage(name: unknown): name is string {
  return typeof name === "string" && /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(name);
}

/** The first character of UTF-8 text that is no blank; "" where there is none. */
export function firstCharacter(head: Uint8Array): string {
  return new TextDecoder().decode(head).trimStart().slice(0, 1);
}

/** `swa`, `cmn_hans`, `be-tarask`: two or three small letters, and what follows a hyphen or an underscore. */
const tag = /^[a-z]{2,3}([-_][A-Za-z0-9]{1,8})*$/;

/** What the name of a file says: of its first word the language, of its endings the rest. */
function parseName<Format extends string>(name: string, { endings }: Formats<Format>) {
  const words = name.split(".");
  const ending = (at: number) => (words[words.length - at] ?? "").toLowerCase();
  const compression = compressions.find((known) => known.ending === ending(1))?.compression;
  const format = endings.get(ending(compression ? 2 : 1));
  return { stem: words[0]!, compression, format };
}

/** The nearest name that is a language tag, going up. */
function languageOf(names: readonly string[]): string {
  return names.findLast((name) => tag.test(name)) ?? unknownLanguage;
}

function sourceOf<Format extends string>(
  path: string,
  folders: readonly string[],
  formats: Formats<Format>,
): Source<Format> {
  const { stem, compression, format = formats.other } = parseName(basename(path), formats);
  const { size, mtimeMs } = statSync(path);
  const identity = `${resolve(path)} ${size} ${mtimeMs}`;
  return { path, label: path, language: languageOf([...folders, stem]), format, compression, bytes: size, identity };
}

/** Files of these formats in a folder and in those below, by name; hidden ones and other kinds are left out. */
function walk<Format extends string>(folder: string, root: string, formats: Formats<Format>): Source<Format>[] {
  const below = relative(root, folder);
  const names = [basename(resolve(root)), ...(below === "" ? [] : below.split(sep))];
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return walk(path, root, formats);
      return parseName(entry.name, formats).format && statSync(path).isFile() ? [sourceOf(path, names, formats)] : [];
    });
}

/** Keeps stdin in a file, so that it can be read again. */
async function spool<Format extends string>(
  folder: string,
  stdin: AsyncIterable<Uint8Array>,
  formats: Formats<Format>,
): Promise<Source<Format>> {
  const hash = new Sha256();
  const draft = join(folder, `stdin-${process.pid}`);
  let begin = new Uint8Array();
  let bytes = 0;
  await saveFile(draft, async (output) => {
    for await (const chunk of stdin) {
      hash.update(chunk);
      output.write(chunk);
      if (begin.length < 4) begin = Buffer.concat([begin, chunk.subarray(0, 4)]);
    }
    bytes = output.length;
  });
  const identity = `stdin ${hash.hex()}`;
  const path = join(folder, identity.replace(" ", "-"));
  renameSync(draft, path);
  const compression = compressions.find(({ magic }) => begin.toHex().startsWith(magic))?.compression;
  const file = { path, label: "stdin", compression };
  const format = formats.sniff(await headOf(file));
  return { ...file, language: unknownLanguage, format, bytes, identity };
}

/** How a file begins, to the first character that is no blank and beyond. */
async function headOf(file: Pick<Source, "path" | "label" | "compression">): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array();
  for await (const chunk of readBytes(file)) {
    head = Buffer.concat([head, chunk]);
    if (firstCharacter(chunk) !== "") break;
  }
  return head;
}

/**
 * The files that `paths` name. A folder stands for all files of the formats in it and below, also with `.gz` or `.zst`;
 * each is in the language that its name begins with (`swa.txt`), or else the folder nearest to it (`swa/part-1.txt`).
 * `-` is stdin, its format told from how it begins.
 * @param cacheFolder where stdin is kept
 * @param formats text (`.txt`) and JSONL without it
 * @throws LolaError "usage" for a path that is not there; DataError (data.empty) for a folder without such files
 */
export async function findSources(
  paths: readonly string[],
  cacheFolder: string,
  stdin?: () => AsyncIterable<Uint8Array>,
): Promise<Source[]>;
export async function findSources<Format extends string>(
  paths: readonly string[],
  cacheFolder: string,
  stdin: (() => AsyncIterable<Uint8Array>) | undefined,
  formats: Formats<Format>,
): Promise<Source<Format>[]>;
export async function findSources(
  paths: readonly string[],
  cacheFolder: string,
  stdin = (): AsyncIterable<Uint8Array> => Bun.stdin.stream(),
  formats: Formats<string> = documents,
): Promise<Source<string>[]> {
  const found: Source<string>[] = [];
  for (const path of paths) {
    if (path === "-") {
      found.push(await spool(cacheFolder, stdin(), formats));
      continue;
    }
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat)
      throw new LolaError("usage", `${path}: no such file or folder`, "files, folders of them, or - for stdin");
    if (!stat.isDirectory()) {
      if (/\.json(\.gz|\.zst)?$/i.test(path) && !formats.endings.has("json")) {
        throw new LolaError("usage", `${path}: one JSON value, not JSONL`, `jq -c '.[]' ${path} > documents.jsonl`);
      }
      found.push(sourceOf(path, [], formats));
      continue;
    }
    const inside = walk(path, path, formats);
    if (inside.length === 0) {
      const known = [...formats.endings.keys()].map((ending) => `.${ending}`).join(" ");
      throw new DataError("data.empty", `${path}: no files that end in ${known}`);
    }
    found.push(...inside);
  }
  return found;
}
