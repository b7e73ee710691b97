/** A disk in memory that knows what a power loss may leave: all that was synced, and any part of what was not. */
import { dirname } from "node:path";
import type { Disk } from "../../src/base/disk.ts";

/** One call, as recorded; content is copied. */
export type Call =
  | { kind: "create"; path: string }
  | { kind: "write"; path: string; bytes: Uint8Array; position: number }
  | { kind: "sync"; path: string }
  | { kind: "rename"; from: string; to: string }
  | { kind: "remove"; path: string }
  | { kind: "syncFolder"; path: string };

export interface MemoryDisk extends Disk {
  readonly calls: readonly Call[];
  /** What a running program sees. */
  readonly files: Map<string, Uint8Array>;
}

/** @param fail is asked before each call; what it returns is thrown, once the disk has done a part of a write */
export function memoryDisk(fail: (call: Call, number: number) => Error | undefined = () => undefined): MemoryDisk {
  const calls: Call[] = [];
  const files = new Map<string, Uint8Array>();
  const open = new Map<number, string>();
  let next = 3;
  const record = (call: Call) => {
    const error = fail(call, calls.length);
    if (error) throw error;
    calls.push(call);
    apply(files, call);
  };
  return {
    calls,
    files,
    create(path) {
      if (files.has(path)) throw Object.assign(new Error("exists"), { code: "EEXIST", syscall: "open" });
      record({ kind: "create", path });
      open.set(next, path);
      return next++;
    },
    write: (file, bytes, position) => record({ kind: "write", path: open.get(file)!, bytes: bytes.slice(), position }),
    sync: (file) => record({ kind: "sync", path: open.get(file)! }),
    close: (file) => {
      if (!open.delete(file)) throw new Error(`descriptor ${file} is not open`);
    },
    rename: (from, to) => record({ kind: "rename", from, to }),
    remove: (path) => record({ kind: "remove", path }),
    makeFolder() {},
    syncFolder: (path) => record({ kind: "syncFolder", path }),
    list: (path) =>
      [...files.keys()].filter((file) => dirname(file) === path).map((file) => file.slice(path.length + 1)),
  };
}

/** Carries out one call on a set of files. */
function apply(files: Map<string, Uint8Array>, call: Call): void {
  if (call.kind === "create") files.set(call.path, new Uint8Array(0));
  else if (call.kind === "write") files.set(call.path, overwritten(files.get(call.path)!, call.bytes, call.position));
  else if (call.kind === "remove") files.delete(call.path);
  else if (call.kind === "rename") {
    files.set(call.to, files.get(call.from)!);
    files.delete(call.from);
  }
}

function overwritten(content: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const grown = new Uint8Array(Math.max(content.length, position + bytes.length));
  grown.set(content);
  grown.set(bytes, position);
  return grown;
}

/**
 * What may be on the medium after the first `count` calls and a power loss.
 * Writes count surely once their file was synced after them, creations, renames and removals once their folder was; others may be there whole, torn at 512 bytes, or not at all.
 * @param chance a number in [0, 1) per question
 */
export function afterPowerLoss(
  start: ReadonlyMap<string, Uint8Array>,
  calls: readonly Call[],
  count: number,
  chance: () => number,
): Map<string, Uint8Array> {
  // Contents by inode, names by folder: a file's data and its name reach the medium apart.
  const content = new Map<number, Uint8Array>();
  const live = new Map<string, number>();
  const names = new Map<string, number>();
  let inode = 0;
  for (const [path, bytes] of start) {
    content.set(inode, bytes);
    live.set(path, inode);
    names.set(path, inode++);
  }
  const done = calls.slice(0, count);
  let pending: (() => void)[] = [];
  for (const [i, call] of done.entries()) {
    if (call.kind === "create") {
      const node = inode++;
      content.set(node, new Uint8Array(0));
      live.set(call.path, node);
      pending.push(() => names.set(call.path, node));
    } else if (call.kind === "write") {
      const node = live.get(call.path)!;
      const safe = done.slice(i).some((later) => later.kind === "sync" && later.path === call.path);
      let bytes = call.bytes;
      if (!safe && chance() < 0.5) continue;
      if (!safe && chance() < 0.5) bytes = bytes.subarray(0, Math.floor((chance() * bytes.length) / 512) * 512);
      content.set(node, overwritten(content.get(node)!, bytes, call.position));
    } else if (call.kind === "rename") {
      const node = live.get(call.from)!;
      live.set(call.to, node);
      live.delete(call.from);
      pending.push(() => {
        names.set(call.to, node);
        names.delete(call.from);
      });
    } else if (call.kind === "remove") {
      live.delete(call.path);
      pending.push(() => names.delete(call.path));
    } else if (call.kind === "syncFolder") {
      for (const change of pending) change();
      pending = [];
    }
  }
  // Changes of names that were not synced reach the medium in order, up to some point.
  const reached = Math.floor(chance() * (pending.length + 1));
  for (const change of pending.slice(0, reached)) change();
  return new Map(Array.from(names, ([path, node]) => [path, content.get(node)!]));
}
