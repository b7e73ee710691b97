/** One process at a time in a folder: a file that names who is there, and is known to be stale when that process is gone. */
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { removeLeftovers, temporaryFor } from "../base/atomic.ts";
import { LolaError } from "../base/errors.ts";

interface Owner {
  host: string;
  pid: number;
  /** When the process began, as the system tells: a number may be given to another process later. */
  started: string;
}

/**
 * Takes the lock, also over one whose process on this machine has ended.
 * @param path of the file; its folder must be there
 * @returns lets go of it
 * @throws LolaError "usage" naming the process that holds it
 */
export function takeLock(path: string): () => void {
  const own: Owner = { host: hostname(), pid: process.pid, started: startOf(process.pid) };
  // Linked, not created, so that nobody finds it empty.
  const draft = temporaryFor(path);
  try {
    removeLeftovers(path);
    writeFileSync(draft, `${JSON.stringify(own)}\n`);
    take(path, draft);
    return () => rmSync(path, { force: true });
  } catch (error) {
    throw unwritable(path, error);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Makes `path` a link to `draft`. @throws LolaError "usage" if its owner lives, or may */
function take(path: string, draft: string): void {
  for (;;) {
    try {
      linkSync(draft, path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const found = read(path);
    // Let go of meanwhile.
    if (found === undefined) continue;
    refuseLiving(path, found);
    // Only who holds the lock on removing this very owner's removes it: whoever read of it before may come later.
    const removal = `${path}.${new Bun.CryptoHasher("sha256").update(found).digest("hex").slice(0, 16)}`;
    take(removal, draft);
    if (read(path) === found) rmSync(path);
    rmSync(removal);
  }
}

/** @throws LolaError "usage" if the process that a lock names lives, or may */
function refuseLiving(path: string, found: string): void {
  const owner = parse(found);
  if (!owner || (owner.host === hostname() && (owner.started === "" || owner.started !== startOf(owner.pid)))) return;
  const where = owner.host === hostname() ? "" : ` on ${owner.host}`;
  throw new LolaError(
    "usage",
    `process ${owner.pid}${where} is training in this folder: ${path}`,
    where === "" ? "wait for it, or stop it with Ctrl-C" : `wait for it; if it is gone, rm ${path}`,
  );
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Undefined for a file that a power loss left empty or in part: nobody holds it. */
function parse(text: string): Owner | undefined {
  try {
    const { host, pid, started } = JSON.parse(text) as Partial<Owner>;
    return typeof host === "string" && typeof pid === "number" && typeof started === "string"
      ? { host, pid, started }
      : undefined;
  } catch {
    return undefined;
  }
}

/** When a process of this machine began; "" if there is none of that number. */
function startOf(pid: number): string {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "";
  }
  try {
    // Field 22 of proc(5), the 20th behind the name, which may hold blanks and brackets itself.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "running";
  }
}

function unwritable(path: string, error: unknown): LolaError {
  if (error instanceof LolaError) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new LolaError("failed", `cannot write ${path}: ${code}`, "another folder, or the rights to write there", {
    cause: error,
  });
}
