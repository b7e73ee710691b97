/** Saves that are whole or not there: temporary → write → fsync → rename → fsync of the folder. */
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { type Disk, realDisk } from "./disk.ts";
import { LolaError } from "./errors.ts";

/** What a save writes into. */
export interface Output {
  /** Bytes appended so far. */
  readonly length: number;
  /** Appends. */
  write(bytes: Uint8Array): void;
  /** Overwrites bytes that were appended before. */
  patch(bytes: Uint8Array, position: number): void;
}

/** Looks at a whole file before it appears, under a temporary name; what it throws ends the save. */
export type Accept = (temporary: string) => Promise<void>;

/** A folder that is being saved. */
export interface OutputFolder {
  /** Adds one file, synced when this returns. */
  file(name: string, write: (output: Output) => void | Promise<void>): Promise<void>;
}

/**
 * Writes one file so that a reader, or a machine that lost power, finds the old file or the new one, never a part.
 * @param write fills the file; what it throws ends the save, with the temporary removed
 * @throws LolaError "failed" with the path and the system's code when the disk refuses
 */
export async function saveFile(
  path: string,
  write: (output: Output) => void | Promise<void>,
  disk: Disk = realDisk,
  accept?: Accept,
): Promise<void> {
  await save(path, disk, async (temporary) => {
    await fill(temporary, write, disk);
    await accept?.(temporary);
  });
}

/**
 * Writes a folder of files so that it appears whole or not at all.
 * @throws LolaError "usage" if there is already something in `path`; "failed" as `saveFile`
 */
export async function saveFolder(
  path: string,
  write: (folder: OutputFolder) => Promise<void>,
  disk: Disk = realDisk,
): Promise<void> {
  if (guarded(path, () => disk.list(path)).length > 0) {
    throw new LolaError("usage", `${path} is not empty`, "another folder, or remove it first");
  }
  await save(path, disk, async (temporary) => {
    disk.makeFolder(temporary);
    await write({ file: (name, content) => fill(join(temporary, name), content, disk) });
    disk.syncFolder(temporary);
  });
}

/** Removes what saves of `path` left behind when their process on this machine was killed. */
export function removeLeftovers(path: string, disk: Disk = realDisk): void {
  const folder = dirname(resolve(path));
  for (const name of disk.list(folder)) {
    const pid = ownerOf(name, basename(path));
    if (pid !== undefined && !isAlive(pid)) disk.remove(join(folder, name));
  }
}

async function save(path: string, disk: Disk, make: (temporary: string) => Promise<void>): Promise<void> {
  const target = resolve(path);
  const folder = dirname(target);
  const temporary = temporaryFor(target);
  try {
    disk.makeFolder(folder);
    removeLeftovers(target, disk);
    await make(temporary);
    disk.rename(temporary, target);
    disk.syncFolder(folder);
  } catch (error) {
    try {
      disk.remove(temporary);
    } catch {
      // The first failure is the one to report.
    }
    throw asLolaError(error, path);
  }
}

async function fill(path: string, write: (output: Output) => void | Promise<void>, disk: Disk): Promise<void> {
  const file = disk.create(path);
  try {
    let length = 0;
    await write({
      get length() {
        return length;
      },
      write(bytes) {
        disk.write(file, bytes, length);
        length += bytes.length;
      },
      patch(bytes, position) {
        if (position + bytes.length > length) throw new RangeError(`patch at ${position} beyond ${length} bytes`);
        disk.write(file, bytes, position);
      },
    });
    disk.sync(file);
  } finally {
    disk.close(file);
  }
}

/** A name beside `path` that nobody uses, and that `removeLeftovers` knows. */
export function temporaryFor(path: string): string {
  const target = resolve(path);
  return join(dirname(target), `.${basename(target)}.${host}.${process.pid}-${counter++}.tmp`);
}

let counter = 0;
// A shared folder may hold temporaries of other machines, whose process numbers say nothing here.
const host = hostname().replace(/[^A-Za-z0-9-]/g, "") || "host";

/** Process that owns a temporary of `base` made on this machine. */
function ownerOf(name: string, base: string): number | undefined {
  const prefix = `.${base}.${host}.`;
  const match = name.startsWith(prefix) ? /^(\d+)-\d+\.tmp$/.exec(name.slice(prefix.length)) : null;
  return match ? Number(match[1]) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function guarded<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw asLolaError(error, path);
  }
}

const hints: Record<string, string> = {
  ENOSPC: "free some space, or write to another disk",
  EDQUOT: "free some space, or write to another disk",
  EACCES: "another folder, or the rights to write there",
  EPERM: "another folder, or the rights to write there",
  EMFILE: "ulimit -n 65536 before it",
  EROFS: "another folder: this one is read-only",
};

/** A system error as one line with its code; other errors pass through. */
function asLolaError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const call = (error as NodeJS.ErrnoException).syscall;
  if (error instanceof LolaError || !(error instanceof Error) || typeof code !== "string" || !call) return error;
  return new LolaError("failed", `cannot write ${path}: ${call} failed with ${code}`, hints[code], { cause: error });
}
