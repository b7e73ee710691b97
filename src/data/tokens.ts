/** A corpus as tokens on disk: made once, then mapped, so that its size costs no memory. */
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Output, type OutputFolder, saveFolder } from "../base/atomic.ts";
import { DataError } from "../base/errors.ts";
import { sha256 } from "../base/hash.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readDocuments } from "./documents.ts";
import type { Source } from "./sources.ts";

/** Token ids of one language, documents end to end with an eos after each; no eos stands within a document. */
export type TokenIds = Uint16Array | Uint32Array;

interface Counts {
  documents: number;
  /** UTF-8, without the eos. */
  bytes: number;
}

/** Training or validation text of one language. */
export interface Side extends Counts {
  /** Mapped from the file: what is read is what takes memory, and the system may take it back. */
  ids: TokenIds;
}

export interface LanguageTokens {
  language: string;
  train: Side;
  validation: Side;
}

/** A corpus in tokens. */
export interface TokenCache {
  folder: string;
  /** 64 hex digits that name tokenizer, sources and split: the same key, the same tokens. */
  key: string;
  /** Sorted by name; a row's language is an index into this list. */
  languages: readonly LanguageTokens[];
}

export interface TokenOptions {
  sources: readonly Source[];
  tokenizer: Tokenizer;
  /** Id that ends a document. */
  eos: number;
  /** Share of the documents held out for validation, 0 to below 1. */
  validation: number;
  /** Where caches are kept, each in a folder named by its key. */
  cacheFolder: string;
  /** Told every thousand documents, while the corpus is encoded: documents and bytes so far. */
  onProgress?(done: Counts): void;
}

const sides = ["train", "validation"] as const;
type SideName = (typeof sides)[number];

/** `index.json` of a cache. */
interface Index {
  languages: ({ language: string; file: string } & Record<SideName, Counts & { tokens: number }>)[];
}

/** Version of the files of a cache, a part of its key. */
const VERSION = 1;
/** Most languages: a batch names them in 16 bits. */
const MOST_LANGUAGES = 2 ** 16;
/** Largest file that can be mapped, in bytes. */
const LARGEST_FILE = 2 ** 32;
/** Tokens that are kept before they are written. */
const HELD = 2 ** 13;

/**
 * Is this document held out? Decided by its content alone, so that equal documents are on the same side, in every corpus.
 * @param share of the documents held out
 */
export function isHeldOut(text: string, share: number): boolean {
  return Number(Bun.hash.xxHash64(text) & 0xffffffffn) < share * 2 ** 32;
}

/**
 * The tokens of a corpus: from the cache if they are there, else encoded now and kept. Special tokens' names in documents
 * are text like any other.
 * @throws DataError as readDocuments, and data.languages, data.large; LolaError "failed" where the disk refuses
 */
export async function openTokens(options: TokenOptions): Promise<TokenCache> {
  const { sources, tokenizer, eos, validation, cacheFolder } = options;
  const identity = { VERSION, eos, validation, sources: sources.map((s) => [s.identity, s.format, s.language]) };
  const key = sha256(`${sha256(JSON.stringify(tokenizer.data))} ${JSON.stringify(identity)}`);
  const folder = join(cacheFolder, key);
  const wide = tokenizer.size > 2 ** 16;
  const kept = tryMap(folder, wide);
  if (kept) return { folder, key, languages: kept };
  rmSync(folder, { recursive: true, force: true });
  try {
    await saveFolder(folder, (output) => encodeAll(options, wide, output));
  } catch (error) {
    // Where another process was first with the same tokens, its are as good.
    const theirs = tryMap(folder, wide);
    if (!theirs) throw error;
    return { folder, key, languages: theirs };
  }
  return { folder, key, languages: mapTokens(folder, wide) };
}

/** Undefined where there is no whole cache. */
function tryMap(folder: string, wide: boolean): LanguageTokens[] | undefined {
  try {
    return mapTokens(folder, wide);
  } catch {
    return undefined;
  }
}

/** @throws Error where a file is missing or not as long as the index says */
function mapTokens(folder: string, wide: boolean): LanguageTokens[] {
  const { languages } = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as Index;
  return languages.map((row) => {
    const side = (name: SideName): Side => {
      const { documents, bytes, tokens } = row[name];
      return { documents, bytes, ids: mapFile(join(folder, `${row.file}.${name}`), tokens, wide) };
    };
    return { language: row.language, train: side("train"), validation: side("validation") };
  });
}

function mapFile(path: string, tokens: number, wide: boolean): TokenIds {
  const Ids = wide ? Uint32Array : Uint16Array;
  if (statSync(path).size !== tokens * Ids.BYTES_PER_ELEMENT) throw new RangeError(`${path}: another length`);
  // An empty file cannot be mapped.
  if (tokens === 0) return new Ids(0);
  return new Ids(Bun.mmap(path, { shared: false }).buffer, 0, tokens);
}

/** Encodes all documents into a file for each language and side, and the index. */
async function encodeAll(options: TokenOptions, wide: boolean, folder: OutputFolder): Promise<void> {
  const { sources, tokenizer, eos, validation, onProgress } = options;
  const writers = new Map<string, Record<SideName, SideWriter>>();
  const done: Counts = { documents: 0, bytes: 0 };
  try {
    for await (const { text, language } of readDocuments(sources)) {
      let pair = writers.get(language);
      if (!pair) {
        if (writers.size === MOST_LANGUAGES) {
          throw new DataError("data.languages", `more than ${MOST_LANGUAGES} languages, "${language}" is the next`);
        }
        const side = (name: SideName) => openSide(folder, `${writers.size}.${name}`, language, wide);
        pair = { train: await side("train"), validation: await side("validation") };
        writers.set(language, pair);
      }
      const bytes = Buffer.byteLength(text);
      const side = pair[isHeldOut(text, validation) ? "validation" : "train"];
      side.add(tokenizer.encode(text, { specials: false }), eos, bytes);
      done.documents++;
      done.bytes += bytes;
      if (done.documents % 1000 === 0) onProgress?.(done);
    }
    for (const pair of writers.values()) for (const name of sides) pair[name].flush();
  } finally {
    await Promise.all([...writers.values()].flatMap((pair) => sides.map((name) => pair[name].close())));
  }
  const languages = [...writers].map(([language, pair], file) => ({
    language,
    file: String(file),
    train: pair.train.counts,
    validation: pair.validation.counts,
  }));
  languages.sort((a, b) => (a.language < b.language ? -1 : 1));
  const index: Index = { languages };
  await folder.file("index.json", (output) => output.write(new TextEncoder().encode(`${JSON.stringify(index)}\n`)));
}

/** Begins a file that stays open while others are written. */
function openSide(folder: OutputFolder, name: string, language: string, wide: boolean): Promise<SideWriter> {
  return new Promise((resolve, reject) => {
    const finish = Promise.withResolvers<void>();
    const saved = folder.file(name, (output) => {
      const close = () => {
        finish.resolve();
        return saved;
      };
      resolve(new SideWriter(output, language, wide, close));
      return finish.promise;
    });
    saved.catch(reject);
  });
}

class SideWriter {
  readonly counts = { documents: 0, bytes: 0, tokens: 0 };
  private readonly held: TokenIds;
  private filled = 0;

  constructor(
    private readonly output: Output,
    private readonly language: string,
    wide: boolean,
    /** Ends the file: it is synced when this returns. */
    readonly close: () => Promise<void>,
  ) {
    this.held = wide ? new Uint32Array(HELD) : new Uint16Array(HELD);
  }

  add(ids: Uint32Array, eos: number, bytes: number): void {
    for (let i = 0; i <= ids.length; i++) {
      this.held[this.filled++] = i < ids.length ? ids[i]! : eos;
      if (this.filled === HELD) this.flush();
    }
    this.counts.documents++;
    this.counts.bytes += bytes;
    this.counts.tokens += ids.length + 1;
  }

  flush(): void {
    const { held, output } = this;
    const bytes = new Uint8Array(held.buffer, 0, this.filled * held.BYTES_PER_ELEMENT);
    if (output.length + bytes.length > LARGEST_FILE) {
      const most = LARGEST_FILE / held.BYTES_PER_ELEMENT;
      const found = `language "${this.language}" has more than ${most} tokens, the most that can be mapped`;
      throw new DataError("data.large", found, "the rest of its text under another name");
    }
    output.write(bytes);
    this.filled = 0;
  }
}
