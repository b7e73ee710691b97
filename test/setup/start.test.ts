/** `npm start` on a checkout that is set up: adds next to nothing, and passes streams, arguments, codes and signals through. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { version } from "../../src/base/version.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "../..");
const start = ["node", join(root, "src/setup/start.mjs")];
const direct = [process.execPath, join(root, "src/main.ts")];

async function run(command: string[], stdin?: string) {
  const begin = performance.now();
  const child = Bun.spawn(command, {
    stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err, seconds: (performance.now() - begin) / 1000 };
}

test("nothing but the program's own words, and less than half a second more", async () => {
  const extra: number[] = [];
  for (let i = 0; i < 3; i++) {
    const through = await run([...start, "--version"]);
    expect(through).toMatchObject({ code: 0, out: `lola ${version}\n`, err: "" });
    extra.push(through.seconds - (await run([...direct, "--version"])).seconds);
  }
  expect(Math.min(...extra)).toBeLessThan(0.5);
});

test("the exit code and arguments with blanks and quotes pass through", async () => {
  const through = await run([...start, "no such 'verb\""]);
  const own = await run([...direct, "no such 'verb\""]);
  expect({ ...through, seconds: 0 }).toEqual({ ...own, seconds: 0 });
  expect(through.code).toBe(2);
});

test("stdin passes through", async () => {
  const text = "Всички хора 人人生而自由\n";
  const encode = ["tokenizer", "encode"];
  const through = await run([...start, ...encode], text);
  expect(through.code).toBe(0);
  expect(through.out).toBe((await run([...direct, ...encode], text)).out);
});

test("a signal to npm's child reaches the program", async () => {
  const child = Bun.spawn([...start, "generate", "All human beings", "--samples", "100000"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGINT");
  while (!(await reader.read()).done);
  expect(await child.exited).toBe(130);
});
