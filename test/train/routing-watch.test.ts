/** Where held-out text goes in a run: counted without touching it, resumed exactly, shown in the report. */
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../src/base/hash.ts";
import { validationWindows } from "../../src/data/validation.ts";
import { openDevice } from "../../src/device/choose.ts";
import { runFiles } from "../../src/train/folder.ts";
import { renderReport } from "../../src/train/report.ts";
import { routingSection } from "../../src/train/report-routing.ts";
import { type RoutingEvent, readRouting } from "../../src/train/routing-watch.ts";
import { TrainingRun } from "../../src/train/run.ts";
import { tinyData, tinyModel, tinyRun } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-watch-"));
const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => {
  device.close();
  rmSync(root, { recursive: true });
});

const data = tinyData();
const watched = tinyRun({ routingEvery: 10 });
const hashOf = (path: string) => sha256(readFileSync(path));

async function whole(name: string, config = watched, stopAt = -1): Promise<string> {
  const folder = join(root, name);
  const stopping = new AbortController();
  const run = await TrainingRun.create(device, folder, config, data);
  const onEvent = (event: { event: string; step: number }) => {
    if (event.event === "step" && event.step === stopAt) stopping.abort();
  };
  await run.train({ signal: stopping.signal, onEvent });
  run.close();
  return folder;
}

test("a run that is watched is the same run, and every held-out token is counted, none dropped", async () => {
  const [plain, seen] = [await whole("plain", tinyRun()), await whole("watched")];
  for (const file of ["metrics", "last", "best"] as const)
    expect(hashOf(runFiles(seen)[file])).toBe(hashOf(runFiles(plain)[file]));
  expect(readRouting(runFiles(plain).routing)).toEqual([]);
  const events = readRouting(runFiles(seen).routing);
  expect(events.map(({ step }) => step)).toEqual([0, 10, 20, 30, 40]);
  const windows = validationWindows(data.languages, data.tokenizer, tinyModel.eos, 16, 3);
  for (const { languages } of events) {
    const tokens = Object.values(languages).map((layers) => layers.map((counts) => counts.reduce((a, b) => a + b, 0)));
    expect(tokens.map((layers) => layers.length)).toEqual(tokens.map(() => 1));
    expect(tokens.flat().reduce((a, b) => a + b, 0)).toBe(windows.reduce((sum, { targets }) => sum + targets, 0));
  }
  expect(events[0]!.languages).not.toEqual(events[4]!.languages);
});

test("stopped and resumed, it has the same lines; what came after the checkpoint is forgotten", async () => {
  const unbroken = readFileSync(runFiles(join(root, "watched")).routing, "utf8");
  const folder = await whole("broken", watched, 23);
  const { routing } = runFiles(folder);
  expect(unbroken.startsWith(readFileSync(routing, "utf8"))).toBe(true);
  appendFileSync(routing, `${JSON.stringify({ event: "routing", step: 30, languages: {} })}\n{"event":"rou`);
  const run = await TrainingRun.resume(device, folder, data);
  await run.train();
  run.close();
  expect(readFileSync(routing, "utf8")).toBe(unbroken);
});

test("the report plays at most 60 steps, from the first to the last, and names cannot break it", () => {
  const events = Array.from(
    { length: 200 },
    (_, i): RoutingEvent => ({
      event: "routing",
      step: 5 * i,
      languages: { swa: [[1, 3]], "</script><b>": [[i, 200 - i]] },
    }),
  );
  const page = renderReport({ name: "run", config: tinyRun(), events: [], shares: [], routing: events });
  expect(page).toContain("<h2>Where languages go</h2>");
  expect(page).not.toContain("<b>");
  expect(page).toContain('<td class="n" data-value="75">1 (75 %)</td>');
  const { frames, names } = JSON.parse(/const data = (\{.*\});/.exec(page)![1]!);
  expect(names).toEqual(["</script><b>", "swa"]);
  expect(frames).toHaveLength(60);
  expect([frames[0].step, frames[59].step]).toEqual([0, 995]);
  expect([...Buffer.from(frames[0].shares, "base64")]).toEqual([0, 255, 64, 191]);
  expect(routingSection([], [1], 2).body).toBe("");
});
