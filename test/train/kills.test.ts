/**
 * Runs that are killed at random times and resumed end as the run that was not, byte for byte: weights, both moments, place
 * in the data, metrics. `LOLA_SOAK=1` kills 300 times.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../src/base/hash.ts";
import { openCheckpoint } from "../../src/train/checkpoint.ts";
import { isRun, runFiles } from "../../src/train/folder.ts";
import type { Optimizer } from "../../src/train/optimizer.ts";

const root = mkdtempSync(join(tmpdir(), "lola-kills-"));
afterAll(() => rmSync(root, { recursive: true }));

interface Life {
  events: { event: string; step: number; best?: boolean }[];
  killed: boolean;
}

/** When a process is killed: so many milliseconds after its start, or after its first line, with which training begins. */
interface Death {
  from: "start" | "begin";
  after: number;
}

/** Engine and optimizer. */
type Kind = readonly ["cpu" | "software", Optimizer];

/** One process in the folder; without a death it ends by itself. */
async function live(folder: string, [engine, optimizer]: Kind, death?: Death): Promise<Life> {
  const command = [process.execPath, join(import.meta.dir, "child.ts"), folder, engine, optimizer];
  const child = Bun.spawn(command, { stderr: "pipe" });
  const errors = new Response(child.stderr).text();
  let timer: Timer | undefined;
  const dieLater = (from: Death["from"]) => {
    if (death?.from === from) timer = setTimeout(() => child.kill("SIGKILL"), death.after);
  };
  dieLater("start");
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (text === "") dieLater("begin");
    text += piece;
  }
  const code = await child.exited;
  clearTimeout(timer);
  if (code !== 0 && child.signalCode !== "SIGKILL") throw new Error(await errors);
  // What stands behind the last line end was cut off.
  const lines = text.split("\n").slice(0, -1);
  return { events: lines.map((line) => JSON.parse(line) as Life["events"][number]), killed: code !== 0 };
}

/** SHA-256 of each file that a run leaves, but for the one that tells the time. */
function hashes(folder: string): Record<string, string> {
  const { last, best, metrics, config } = runFiles(folder);
  return Object.fromEntries(
    Object.entries({ last, best, metrics, config }).map(([name, path]) => [name, sha256(readFileSync(path))]),
  );
}

const expectedFiles = ["checkpoints", "config.json", "metrics.jsonl", "speed.jsonl"];

/**
 * Kills runs until there have been so many kills, one in four on the way to training, the others within it.
 * @param most milliseconds of either
 */
async function killAll(
  kind: Kind,
  kills: number,
  most: Record<Death["from"], number>,
): Promise<Record<string, number>> {
  const straight = join(root, `${kind.join("-")}-straight`);
  expect((await live(straight, kind)).killed).toBe(false);
  const wanted = hashes(straight);
  const told = { kills: 0, lives: 0, runs: 0, resumed: 0, forgotten: 0, leftovers: 0 };
  while (told.kills < kills) {
    const folder = join(root, `${kind.join("-")}-${told.runs++}`);
    let saved = 0;
    for (let ended = false; !ended; ) {
      const before = existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String) : [];
      told.leftovers += before.filter((name) => name.endsWith(".tmp")).length;
      const from = Math.random() < 0.25 ? "start" : "begin";
      const death: Death = { from, after: Math.random() * most[from] };
      const { events, killed } = await live(folder, kind, told.kills < kills ? death : undefined);
      told.lives++;
      const [begin] = events;
      // Nothing that was acknowledged is lost.
      if (begin) expect(begin.step).toBeGreaterThanOrEqual(saved);
      if (begin && begin.step > 0) told.resumed++;
      const saves = events.filter(({ event, best }) => event === "save" && !best);
      saved = saves.at(-1)?.step ?? begin?.step ?? saved;
      told.forgotten += (events.findLast(({ event }) => event === "step")?.step ?? saved) - saved;
      if (killed) told.kills++;
      // Nothing is torn.
      if (isRun(folder)) {
        const { state, close } = openCheckpoint(runFiles(folder).last);
        expect(state.step).toBeGreaterThanOrEqual(saved);
        close();
      }
      ended = !killed;
    }
    expect(hashes(folder)).toEqual(wanted);
    expect(readdirSync(folder).sort()).toEqual(expectedFiles);
    expect(readdirSync(join(folder, "checkpoints")).sort()).toEqual(["best.lola", "last.lola"]);
    rmSync(folder, { recursive: true });
  }
  return told;
}

test("the CPU engine", async () => {
  const kills = process.env.LOLA_SOAK ? 300 : 50;
  const told = await killAll(["cpu", "adamw"], kills, { start: 300, begin: 120 });
  console.log(`cpu: ${JSON.stringify(told)}`);
  expect(told.resumed).toBeGreaterThan(kills / 4);
}, 600_000);

test("a software GPU", async () => {
  const kills = process.env.LOLA_SOAK ? 30 : 5;
  const told = await killAll(["software", "adamw"], kills, { start: 1500, begin: 600 });
  console.log(`software: ${JSON.stringify(told)}`);
}, 600_000);

test("Muon", async () => {
  const told = await killAll(["cpu", "muon"], 5, { start: 300, begin: 120 });
  console.log(`muon: ${JSON.stringify(told)}`);
}, 600_000);
