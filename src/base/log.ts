/** A file of JSON lines that only grows, and can be cut back to an earlier end. */
import { closeSync, existsSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { DataError, LolaError } from "./errors.ts";

const LINE_FEED = 10;

export class JsonLog {
  private constructor(
    private readonly path: string,
    private readonly file: number,
    /** Bytes so far. */
    public length: number,
  ) {}

  /**
   * Opens a log, or begins one.
   * @param length what is behind it is cut off; default: behind the last whole line
   * @throws DataError "run.log" when there is less; LolaError "failed" when the disk refuses
   */
  static open(path: string, length?: number): JsonLog {
    return guarded(path, () => {
      const file = openSync(path, existsSync(path) ? "r+" : "wx+");
      const { size } = fstatSync(file);
      const end = length ?? lastLineEnd(file, size);
      if (end > size) {
        closeSync(file);
        const found = `${path} has ${size} bytes, the checkpoint was saved when it had ${end}`;
        throw new DataError("run.log", found, "put the whole file back");
      }
      ftruncateSync(file, end);
      return new JsonLog(path, file, end);
    });
  }

  /** Adds a line. */
  add(value: object): void {
    const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
    guarded(this.path, () => {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.file, bytes, done, bytes.length - done, this.length + done);
      }
    });
    this.length += bytes.length;
  }

  /** Returns when all lines are on the medium. */
  sync(): void {
    guarded(this.path, () => fsyncSync(this.file));
  }

  close(): void {
    closeSync(this.file);
  }
}

/** End of the last whole line: a process that was killed may have left a part of one. */
function lastLineEnd(file: number, size: number): number {
  const block = new Uint8Array(4096);
  for (let end = size; end > 0; end -= block.length) {
    const start = Math.max(0, end - block.length);
    const count = readSync(file, block, 0, end - start, start);
    const found = block.subarray(0, count).lastIndexOf(LINE_FEED);
    if (found >= 0) return start + found + 1;
  }
  return 0;
}

function guarded<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (error instanceof LolaError || !syscall) throw error;
    throw new LolaError("failed", `cannot write ${path}: ${syscall} failed with ${code}`, "free some space", {
      cause: error,
    });
  }
}
