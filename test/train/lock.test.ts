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

test("ten processes at once over a stale lock: one gets it, however late the others come", async () => {
  const script = `
    import { takeLock } from ${JSON.stringify(join(import.meta.dir, "../../src/train/lock.ts"))};
    process.stdout.write("ready ");
    for await (const _ of console) {
      try { takeLock(${JSON.stringify(path)}); process.stdout.write("mine "); } catch (error) { process.stdout.write(error.kind + " "); }
    }`;
  const children = Array.from({ length: 10 }, () => {
    const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stderr: "inherit" });
    return { child, words: words(child.stdout) };
  });
  const answers = () => Promise.all(children.map(async ({ words }) => (await words.next()).value));
  await answers();
  for (let round = 0; round < 20; round++) {
    put({ host, pid: process.pid, started: String(round) });
    for (const { child } of children) child.stdin.write("go\n");
    for (const { child } of children) child.stdin.flush();
    expect((await answers()).sort()).toEqual(["mine", ...Array(9).fill("usage")]);
  }
  for (const { child } of children) child.stdin.end();
  await Promise.all(children.map(({ child }) => child.exited));
  expect(readdirSync(root)).toEqual(["lock"]);
  rmSync(path);
}, 20_000);

async function* words(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of stream) {
    const whole = (rest + decoder.decode(piece, { stream: true })).split(" ");
    rest = whole.pop() ?? "";
    yield* whole;
  }
}
