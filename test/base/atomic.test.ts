/** Saves on a disk that loses power, fills up, or fails at any call: the old file or the new one, never a part. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type Output, removeLeftovers, saveFile, saveFolder } from "../../src/base/atomic.ts";
import { type Disk, realDisk } from "../../src/base/disk.ts";
import { LolaError } from "../../src/base/errors.ts";
import { afterPowerLoss, type Call, memoryDisk } from "./memdisk.ts";

const root = mkdtempSync(join(tmpdir(), "lola-atomic-"));
afterAll(() => rmSync(root, { recursive: true }));

const old = new Uint8Array(3000).fill(1);
const fresh = new Uint8Array(5000).fill(2);
/** Writes `fresh` as the checkpoint writer does: in pieces, with the beginning filled in last. */
const fill = (output: Output) => {
  output.write(new Uint8Array(256));
  output.write(fresh.subarray(256, 4096));
  output.write(fresh.subarray(4096));
  output.patch(fresh.subarray(0, 256), 0);
};

/** How many of `clones` power losses leave neither the old file nor the new one, or lose a save that had returned. */
async function losses(wrap: (disk: Disk) => Disk, clones: number): Promise<number> {
  const disk = memoryDisk();
  const start = new Map([["/m/a", old]]);
  disk.files.set("/m/a", old);
  await saveFile("/m/a", fill, wrap(disk));
  let state = 1;
  const chance = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  let lost = 0;
  for (let i = 0; i < clones; i++) {
    const count = i % (disk.calls.length + 1);
    const file = afterPowerLoss(start, disk.calls, count, chance).get("/m/a");
    const isNew = file !== undefined && Buffer.compare(file, fresh) === 0;
    const isOld = file !== undefined && Buffer.compare(file, old) === 0;
    if (!isNew && (!isOld || count === disk.calls.length)) lost++;
  }
  return lost;
}

describe("power loss", () => {
  test("20,000 clones: none loses or tears a file", async () => {
    expect(await losses((disk) => disk, 20_000)).toBe(0);
  });

  test("without fsync of the file, or of the folder, the same clones do: the test can see it", async () => {
    expect(await losses((disk) => ({ ...disk, sync() {} }), 2000)).toBeGreaterThan(100);
    expect(await losses((disk) => ({ ...disk, syncFolder() {} }), 2000)).toBeGreaterThan(10);
  });
});

test("every call that fails leaves the old file, no temporary, and one line with the code", async () => {
  for (let at = 0; ; at++) {
    const files = new Map([["/m/a", old]]);
    const fail = (call: Call, number: number) =>
      number === at && call.kind !== "remove"
        ? Object.assign(new Error("no"), { code: "ENOSPC", syscall: call.kind })
        : undefined;
    const disk = memoryDisk(fail);
    disk.files.set("/m/a", old);
    const error = await saveFile("/m/a", fill, disk).then(
      () => undefined,
      (reason) => reason,
    );
    if (!error) {
      expect(at).toBeGreaterThan(6);
      break;
    }
    expect(error).toBeInstanceOf(LolaError);
    expect(error).toMatchObject({ kind: "failed", message: expect.stringContaining("ENOSPC") });
    const last = disk.calls.at(-1)!;
    const renamed = disk.calls.some(({ kind }) => kind === "rename");
    expect(last.kind === "remove" || at === 0).toBe(true);
    expect([...disk.files.keys()]).toEqual(["/m/a"]);
    expect(disk.files.get("/m/a")).toEqual(renamed ? fresh : files.get("/m/a")!);
  }
});

test("what the writer throws ends the save", async () => {
  const path = join(root, "a");
  writeFileSync(path, "old");
  await expect(
    saveFile(path, (output) => {
      output.write(fresh);
      throw new RangeError("mine");
    }),
  ).rejects.toThrow(RangeError);
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(root)).toEqual(["a"]);
  await expect(saveFile(path, (output) => output.patch(fresh, 0))).rejects.toThrow(RangeError);
});

test("on the real disk: a new file in a new folder, and a folder of files", async () => {
  const path = join(root, "deep", "er", "a");
  await saveFile(path, fill);
  expect(readFileSync(path).equals(fresh)).toBe(true);
  const folder = join(root, "folder");
  mkdirSync(folder);
  await saveFolder(folder, (output) => output.file("x", fill));
  expect(readdirSync(folder)).toEqual(["x"]);
  await expect(saveFolder(folder, (output) => output.file("y", fill))).rejects.toThrow("is not empty");
  const half = saveFolder(join(root, "half"), async (output) => {
    await output.file("x", fill);
    throw new RangeError("mine");
  });
  await expect(half).rejects.toThrow(RangeError);
  expect(existsSync(join(root, "half"))).toBe(false);
});

test("no rights: one line", async () => {
  const refusing: Disk = {
    ...realDisk,
    create: () => {
      throw Object.assign(new Error("no"), { code: "EACCES", syscall: "open" });
    },
  };
  await expect(saveFile(join(root, "b"), fill, refusing)).rejects.toThrow("open failed with EACCES");
});

test("leftovers of dead processes of this machine go, all others stay", () => {
  const folder = join(root, "left");
  mkdirSync(folder);
  const host = hostname().replace(/[^A-Za-z0-9-]/g, "") || "host";
  const dead = Bun.spawnSync(["true"]).pid;
  const names = [
    `.a.${host}.${dead}-0.tmp`,
    `.a.${host}.${process.pid}-7.tmp`,
    `.a.elsewhere.${dead}-0.tmp`,
    `.b.${host}.${dead}-0.tmp`,
    "a",
  ];
  for (const name of names) writeFileSync(join(folder, name), "");
  removeLeftovers(join(folder, "a"));
  expect(readdirSync(folder).sort()).toEqual(names.slice(1).sort());
});

test("a whole file is looked at before it appears; what that throws leaves the old one and no temporary", async () => {
  const disk = memoryDisk();
  const { files } = disk;
  files.set("/m/a", old);
  const refuse = async (temporary: string) => {
    expect(Buffer.compare(files.get(temporary)!, fresh)).toBe(0);
    throw new LolaError("failed", "not good enough");
  };
  await expect(saveFile("/m/a", fill, disk, refuse)).rejects.toThrow("not good enough");
  expect([...files.keys()]).toEqual(["/m/a"]);
  expect(files.get("/m/a")).toBe(old);
  await saveFile("/m/a", fill, disk, async () => {});
  expect(Buffer.compare(files.get("/m/a")!, fresh)).toBe(0);
});
