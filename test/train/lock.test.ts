/** One process at a time: who holds the lock is named, and one whose process is gone does not count. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { takeLock } from "../../src/train/lock.ts";

const root = mkdtempSync(join(tmpdir(), "lola-lock-"));
afterAll(() => rmSync(root, { recursive: true }));
const path = join(root, "lock");
const put = (owner: object | string) => writeFileSync(path, typeof owner === "string" ? owner : JSON.stringify(owner));
const host = hostname();

test("taken once, until let go", () => {
  const unlock = takeLock(path);
  const { started } = JSON.parse(readFileSync(path, "utf8")) as { started: string };
  expect(started).not.toBe("");
  expect(() => takeLock(path)).toThrow(`process ${process.pid} is training in this folder`);
  unlock();
  takeLock(path)();
  expect(readdirSync(root)).toEqual([]);
});

test("stale: a dead process, another process of the same number, a file in part", () => {
  const dead = Bun.spawnSync(["true"]).pid;
  for (const owner of [{ host, pid: dead, started: "12" }, { host, pid: process.pid, started: "12" }, '{"host":', ""]) {
    put(owner);
    takeLock(path)();
    expect(readdirSync(root)).toEqual([]);
  }
});

test("of another machine: nobody here can know", () => {
  put({ host: "elsewhere", pid: 1, started: "12" });
  expect(() => takeLock(path)).toThrow("process 1 on elsewhere is training");
  rmSync(path);
});

test("ten processes at once over a stale lock: one gets it", async () => {
  put({ host, pid: process.pid, started: "12" });
  const script = `
    import { takeLock } from ${JSON.stringify(join(import.meta.dir, "../../src/train/lock.ts"))};
    await Bun.stdin.text();
    try { takeLock(${JSON.stringify(path)}); console.log("mine"); } catch (error) { console.log(error.kind); }
    await Bun.sleep(1500);`;
  const children = Array.from({ length: 10 }, () =>
    Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stderr: "pipe" }),
  );
  await Bun.sleep(500);
  for (const { stdin } of children) stdin.end();
  const told = await Promise.all(children.map(({ stdout }) => new Response(stdout).text()));
  expect(told.map((line) => line.trim()).sort()).toEqual(["mine", ...Array(9).fill("usage")]);
}, 20_000);
