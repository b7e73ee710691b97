/** Pull: the files of a published model that an import needs, resumable, each checked by length and hash before it counts. */
import * as fs from "node:fs";
import { join } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { indexFile, originFile, readJson, shardsOf, weightsFile } from "./hf-folder.ts";
import { fetchInto, type HubAccess, listRemote, type RemoteFile, type Sink } from "./hub.ts";

export interface PullOptions {
  /** Branch, tag or commit; default "main". */
  revision?: string;
  /** Called as bytes come in. */
  progress?: (file: string, done: number, total: number) => void;
}

export interface PullReport {
  /** The commit that was downloaded. */
  commit: string;
  /** Files of the folder; `fetched` counts bytes that came over the network in this run. */
  files: { name: string; bytes: number; fetched: number }[];
}

/** A whole file with a wrong hash is fetched once more, since a proxy may have damaged it; then it is an error. */
const wholeTries = 3;

/**
 * Downloads `OWNER/NAME` into `folder`, going on with what an earlier try left there.
 * @throws LolaError "failed" for the network and the disk, "usage" for an unknown repository; DataError "pull.…" for content that is not as announced
 */
export async function pullModel(
  repository: string,
  folder: string,
  access: HubAccess,
  options: PullOptions = {},
): Promise<PullReport> {
  const { commit, files } = await listRemote(repository, options.revision ?? "main", access);
  const report: PullReport = { commit, files: [] };
  try {
    fs.mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw diskFailure(folder, error);
  }
  const get = async (name: string) => {
    const file = files.get(name);
    if (!file)
      throw new DataError("pull.missing", `${repository} at ${commit.slice(0, 8)} has no ${name} whose hash is told`);
    const path = join(folder, name);
    const fetched = await download(repository, commit, file, path, access, options).catch((error) => {
      throw diskFailure(path, error);
    });
    report.files.push({ name, bytes: file.bytes, fetched });
  };
  const weights = weightsKind(repository, files);
  for (const name of ["config.json", ...tokenizerNames(files)]) await get(name);
  await get(weights);
  if (weights === indexFile) {
    const path = join(folder, indexFile);
    for (const shard of shardsOf(readJson(path), path)) await get(shard);
  }
  const origin = new TextEncoder().encode(`${JSON.stringify({ repository, revision: commit }, null, 2)}\n`);
  await saveFile(join(folder, originFile), (output) => output.write(origin));
  return report;
}

function weightsKind(repository: string, files: ReadonlyMap<string, RemoteFile>): string {
  if (files.has(weightsFile)) return weightsFile;
  if (files.has(indexFile)) return indexFile;
  const pickle = [...files.keys()].find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  throw pickle
    ? new DataError(
        "weights.pickle",
        `${repository} has only pickle weights (${pickle}), which can run code and are never read`,
        "a repository with safetensors",
      )
    : new DataError(
        "weights.missing",
        `${repository} has neither ${weightsFile} nor ${indexFile}`,
        "check the name and the revision",
      );
}

function tokenizerNames(files: ReadonlyMap<string, RemoteFile>): string[] {
  const vocabulary = files.has("tokenizer.json") ? ["tokenizer.json"] : ["vocab.json", "merges.txt"];
  return [...vocabulary, ...["tokenizer_config.json", "special_tokens_map.json"].filter((name) => files.has(name))];
}

/** Brings one file to `path`. @returns bytes that came over the network */
async function download(
  repository: string,
  commit: string,
  file: RemoteFile,
  path: string,
  access: HubAccess,
  options: PullOptions,
): Promise<number> {
  if (await isWhole(path, file)) return 0;
  const part = new PartFile(`${path}.part`, file, (done) => options.progress?.(file.name, done, file.bytes));
  try {
    await part.resume();
    for (let tries = 1; ; tries++) {
      await fetchInto(part, repository, commit, file, access);
      if (part.hex() === file.hash.hex) break;
      part.restart();
      if (tries === wholeTries) {
        throw new DataError(
          "pull.hash",
          `${file.name} of ${repository} came ${tries} times with a wrong ${file.hash.algorithm} hash`,
          "another network or HF_ENDPOINT",
        );
      }
    }
    part.finish(path);
    return part.fetched;
  } finally {
    part.close();
  }
}

/** A system error as one line; others pass through. */
function diskFailure(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof LolaError || typeof code !== "string") return error;
  const hint = code === "ENOSPC" ? "free some space; the same command goes on where it stopped" : undefined;
  return new LolaError("failed", `cannot write ${path}: ${code}`, hint, { cause: error });
}

function newHash({ bytes, hash }: RemoteFile): Bun.CryptoHasher {
  if (hash.algorithm === "sha256") return new Bun.CryptoHasher("sha256");
  return new Bun.CryptoHasher("sha1").update(`blob ${bytes}\0`);
}

async function isWhole(path: string, file: RemoteFile): Promise<boolean> {
  if (!fs.existsSync(path) || fs.statSync(path).size !== file.bytes) return false;
  const hash = newHash(file);
  for await (const piece of fs.createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array);
  return hash.digest("hex") === file.hash.hex;
}

/** A file that is on its way, with the hash of what is there. */
class PartFile implements Sink {
  length = 0;
  fetched = 0;
  private hash: Bun.CryptoHasher;
  private readonly descriptor: number;

  constructor(
    private readonly path: string,
    private readonly file: RemoteFile,
    private readonly progress: (done: number) => void,
  ) {
    this.hash = newHash(file);
    this.descriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o666);
  }

  /** Takes over what an earlier try left. */
  async resume(): Promise<void> {
    if (fs.fstatSync(this.descriptor).size > this.file.bytes) return this.restart();
    for await (const piece of fs.createReadStream(this.path, { highWaterMark: 1 << 20 })) {
      this.hash.update(piece as Uint8Array);
      this.length += (piece as Uint8Array).length;
    }
  }

  append(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += fs.writeSync(this.descriptor, bytes, done, bytes.length - done, this.length + done);
      }
    } catch (error) {
      throw diskFailure(this.path, error);
    }
    this.hash.update(bytes);
    this.length += bytes.length;
    this.fetched += bytes.length;
    this.progress(this.length);
  }

  restart(): void {
    fs.ftruncateSync(this.descriptor, 0);
    this.hash = newHash(this.file);
    this.length = 0;
  }

  /** Hash of what is there. */
  hex(): string {
    return this.hash.copy().digest("hex");
  }

  finish(path: string): void {
    fs.fsyncSync(this.descriptor);
    fs.renameSync(this.path, path);
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}
