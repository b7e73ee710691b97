/** The few file operations that a safe save is made of, behind an interface so that tests can play a power loss. */
import * as fs from "node:fs";

/** Every call throws a system error (`code`, `path`) when it fails. Descriptors are small integers. */
export interface Disk {
  /** Creates a file that must not exist yet, for writing. */
  create(path: string): number;
  /** Writes all of `bytes` at `position`. */
  write(file: number, bytes: Uint8Array, position: number): void;
  /** Returns when the content of the file is on the medium. */
  sync(file: number): void;
  close(file: number): void;
  /** Replaces `to` in one step. */
  rename(from: string, to: string): void;
  /** Removes a file or a folder with all in it; one that is not there is no error. */
  remove(path: string): void;
  makeFolder(path: string): void;
  /** Returns when the names in the folder are on the medium. */
  syncFolder(path: string): void;
  /** Names in a folder; none if there is no such folder. */
  list(path: string): string[];
}

/** The machine's own disk. */
export const realDisk: Disk = {
  create: (path) => fs.openSync(path, "wx", 0o666),
  write(file, bytes, position) {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(file, bytes, done, bytes.length - done, position + done);
    }
  },
  sync: (file) => fs.fsyncSync(file),
  close: (file) => fs.closeSync(file),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { recursive: true, force: true }),
  makeFolder: (path) => {
    fs.mkdirSync(path, { recursive: true });
  },
  syncFolder(path) {
    // Windows cannot open a folder; there the rename itself is durable.
    if (process.platform === "win32") return;
    const folder = fs.openSync(path, "r");
    try {
      fs.fsyncSync(folder);
    } finally {
      fs.closeSync(folder);
    }
  },
  list(path) {
    try {
      return fs.readdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  },
};
