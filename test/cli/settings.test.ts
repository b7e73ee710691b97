/** Where a flag's value comes from when the command line does not give it. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lola } from "./lola.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-settings-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Setup {
  /** ./lola.toml */
  here?: string;
  /** config.toml of the user */
  user?: string;
  env?: Record<string, string>;
}

let count = 0;

/** Runs a command in a fresh folder with these files and variables. */
function withSetup(args: string[], { here, user, env = {} }: Setup) {
  const place = join(folder, String(count++));
  mkdirSync(join(place, "home/config"), { recursive: true });
  if (here !== undefined) writeFileSync(join(place, "lola.toml"), here);
  if (user !== undefined) writeFileSync(join(place, "home/config/config.toml"), user);
  return lola(args, { cwd: place, env: { LOLA_HOME: join(place, "home"), ...env } });
}

/** What the doctor tells of one setting of `generate`. */
async function setting(name: string, setup: Setup) {
  const ran = await withSetup(["doctor", "--json"], setup);
  const { settings, problems } = JSON.parse(ran.out) as {
    settings: { setting: string; value: unknown; origin: string; command: string }[];
    problems: string[];
  };
  const found = settings.find((s) => s.setting === name && s.command.split(", ").includes("generate"));
  return { value: found?.value, origin: found?.origin, problems };
}

test("flag > environment > ./lola.toml > config.toml > default", async () => {
  const user = "temperature = 0.1";
  const here = "temperature = 0.2";
  const env = { LOLA_TEMPERATURE: "0.3" };
  expect(await setting("temperature", {})).toMatchObject({ value: 0.8, origin: "default" });
  expect((await setting("temperature", { user })).value).toBe(0.1);
  expect(await setting("temperature", { user, here })).toMatchObject({ value: 0.2, origin: "./lola.toml" });
  expect(await setting("temperature", { user, here, env })).toMatchObject({ value: 0.3, origin: "LOLA_TEMPERATURE" });
  const run = ["generate", "All", "--json", "-n", "1", "--device", "reference", "--seed", "1"];
  const given = await withSetup([...run, "--temperature", "0.4"], { user, here, env });
  expect(JSON.parse(given.out).sampling.temperature).toBe(0.4);
  expect(JSON.parse((await withSetup(run, { user, here, env })).out).sampling.temperature).toBe(0.3);
});

test("a table named after a command holds for that command alone, and wins", async () => {
  const here = 'device = "cpu"\n[generate]\ndevice = "reference"\n';
  expect((await setting("device", { here })).value).toBe("reference");
});

test("values in files are checked like flags; seeds beyond 2^53 must be quoted", async () => {
  expect(await withSetup(["generate", "x"], { here: 'temperature = "hot"' })).toMatchObject({ code: 2, out: "" });
  expect((await withSetup(["generate", "x"], { here: "seed = 12345678901234567890" })).code).toBe(2);
  expect((await setting("seed", { here: 'seed = "12345678901234567890"' })).value).toBe("12345678901234567890");
  expect((await setting("top-k", { env: { LOLA_TOP_K: "-1" } })).problems.join()).toContain("LOLA_TOP_K");
});

test("an unknown setting is refused with the nearest name; the doctor tells it and goes on", async () => {
  const here = "temprature = 0.5";
  const ran = await withSetup(["generate", "x"], { here });
  expect(ran).toMatchObject({ code: 2, out: "", err: 'lola: lola.toml: no setting "temprature"\ntry: temperature\n' });
  expect((await setting("temperature", { here })).problems).toEqual(['lola.toml: no setting "temprature"']);
  expect((await withSetup(["generate", "x"], { here: "= nonsense" })).err).toContain("not valid TOML");
});

test("commands without settings do not read the files", async () => {
  expect((await withSetup(["help"], { here: "= nonsense" })).code).toBe(0);
});

test("LOLA_HOME and the XDG variables move the folder of models", async () => {
  const path = async (env: Record<string, string>) => (await lola(["models", "path"], { env })).out.trim();
  expect(await path({ LOLA_HOME: "/a/b" })).toBe("/a/b/models");
  expect(await path({ LOLA_HOME: "", XDG_DATA_HOME: "/x" })).toBe("/x/lola/models");
  expect(await path({ LOLA_HOME: "", HOME: "/h" })).toBe("/h/.local/share/lola/models");
});
