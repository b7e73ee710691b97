/** The binary as one file: size, start, and that it needs nothing from the place it runs in. */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../src/base/version.ts";
import { binary, lola, patience, scratch } from "./binary.ts";

setDefaultTimeout(patience);
beforeAll(() => binary());

/** No variable at all: what `env -i` gives. */
async function bare(args: string[], env: Record<string, string> = {}, cwd?: string) {
  using place = scratch();
  const child = Bun.spawn([await binary(), ...args], {
    cwd: cwd ?? place.folder,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err, left: readdirSync(cwd ?? place.folder) };
}

const generate = ["generate", "All human beings", "--greedy", "-n", "8"];

test("it is at most 180 MB", async () => {
  expect(statSync(await binary()).size).toBeLessThanOrEqual(180e6);
});

test("--version takes at most 120 ms", async () => {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const ran = await bare(["--version"]);
    times.push(performance.now() - start);
    expect(ran).toMatchObject({ code: 0, out: `lola ${version}\n`, err: "" });
  }
  expect(Math.min(...times)).toBeLessThanOrEqual(120);
});

test("it generates in an empty folder with an empty environment, and leaves nothing there", async () => {
  const ran = await bare(generate);
  expect(ran).toMatchObject({ code: 0, err: "", left: [] });
  expect(ran.out.trim().length).toBeGreaterThan(0);
});

test.each(["cpu", "software", "reference"])("--device %s works inside it", async (device) => {
  const ran = await lola([...generate, "--device", device], {
    env: process.env.VK_DRIVER_FILES ? { VK_DRIVER_FILES: process.env.VK_DRIVER_FILES } : {},
  });
  expect(ran.err).toBe("");
  expect(ran.code).toBe(0);
  expect(ran.out).toBe((await lola(generate)).out);
});

test("a machine without a graphics driver hears nothing of it", async () => {
  const ran = await bare(generate, { VK_DRIVER_FILES: "/nonexistent" });
  expect(ran).toMatchObject({ code: 0, err: "" });
  const asked = await bare([...generate, "--device", "gpu"], { VK_DRIVER_FILES: "/nonexistent" });
  expect(asked.code).toBe(4);
  expect(asked.err).toMatch(/^lola: .*\ntry: .*\n$/);
});

test("without a usable temporary folder its libraries go to the cache folder", async () => {
  using place = scratch();
  const env = { TMPDIR: join(place.home, "none"), HOME: place.home };
  const ran = await bare([...generate, "--device", "cpu"], env);
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(readdirSync(join(place.home, ".cache/lola")).join()).toContain("liblolakernels");
  writeFileSync(join(place.home, "file"), "");
  const nowhere = await bare([...generate, "--device", "cpu"], { ...env, LOLA_HOME: join(place.home, "file") });
  expect(nowhere.code).toBe(4);
  expect(nowhere.err).toContain("TMPDIR");
});

test("settings of Bun in the folder it runs in are not obeyed", async () => {
  using place = scratch();
  writeFileSync(join(place.folder, ".env"), "LOLA_MAX_TOKENS=1\n");
  writeFileSync(join(place.folder, "bunfig.toml"), 'preload = ["./intruder.ts"]\n');
  writeFileSync(join(place.folder, "intruder.ts"), 'console.log("intruder");\n');
  const ran = await bare(generate.slice(0, 3), {}, place.folder);
  expect(ran.code).toBe(0);
  expect(ran.out).toBe((await lola(generate.slice(0, 3))).out);
});
