/** How much of what was learnt is taken, so that what is to be kept stays. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openExamples } from "../../src/data/examples.ts";
import { exampleFormats } from "../../src/data/formats/read.ts";
import { findSources } from "../../src/data/sources.ts";
import { alpaca } from "../../src/data/template.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { Method } from "../../src/train/config.ts";
import type { ValidationEvent } from "../../src/train/events.ts";
import { runFiles } from "../../src/train/folder.ts";
import { readEvents } from "../../src/train/report.ts";
import { temper } from "../../src/train/strength.ts";
import { TuningRun } from "../../src/train/tuning-run.ts";
import { tinyTuning, writeModel, writeRows } from "./tiny-tuning.ts";

const root = mkdtempSync(join(tmpdir(), "lola-strength-"));
afterAll(() => rmSync(root, { recursive: true }));
const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => device.close());

test.each([
  [0.005, 1],
  [0.04, Math.sqrt(0.01 / 0.04)],
  [2, Math.sqrt(0.01 / 2)],
])("where the loss at full strength is %f, it is at most 1 %", async (all, most) => {
  const tried: number[] = [];
  const measure = async (strength: number) => tried.push(strength) && all * strength ** 2;
  const found = await temper(0.01, measure, (loss) => loss);
  expect(found!.measured).toBeLessThanOrEqual(0.01);
  expect(found!.strength).toBeLessThanOrEqual(most);
  expect(found!.strength).toBeGreaterThan(0.75 * most);
  expect(tried.length).toBeLessThan(4);
});

test("a loss that no strength keeps leaves nothing; nor does a stop", async () => {
  const always = async () => 1;
  expect(await temper(0.01, always, (loss) => loss)).toBeUndefined();
  expect(
    await temper(
      0.01,
      async () => undefined,
      () => 0,
    ),
  ).toBeUndefined();
});

const model = join(root, "model.lola");
await writeModel(model);
const [data, keep] = [join(root, "swa.jsonl"), join(root, "deu.jsonl")];
writeRows(data, 90);
const rows = readFileSync(data, "utf8").trimEnd().split("\n");
writeFileSync(data, rows.filter((row) => row.includes('"swa"')).join("\n"));
writeFileSync(keep, rows.filter((row) => row.includes('"deu"')).join("\n"));

async function tuned(method: Method, forget: number) {
  const { config, data: whole } = await tinyTuning(method, { model, data });
  const settings = { ...config, data: { ...config.data, keep: { paths: [keep], forget } } };
  const [sources, kept] = await Promise.all(
    [data, keep].map((path) => findSources([path], "", undefined, exampleFormats)),
  );
  const { trainOnPrompt, tooLong, validation } = config.data;
  const options = { tokenizer: whole.tokenizer, eos: config.model.eos, context: 48, template: alpaca };
  const examples = await openExamples(sources!, { ...options, trainOnPrompt, tooLong, validation }, kept);
  const folder = join(root, `${method}-${forget}`);
  const run = await TuningRun.create(device, folder, settings, { ...whole, examples });
  await run.train();
  run.close();
  const events = readEvents(runFiles(folder).metrics).filter((e): e is ValidationEvent => e.event === "validation");
  return { folder, events, last: events.at(-1)!, summary: examples.summary };
}

test.each(["lora", "full", "experts"] as const)(
  "%s: what is to be kept stays within the limit, and the less the tighter",
  async (method) => {
    const [tight, loose] = [await tuned(method, 1e-4), await tuned(method, 10)];
    expect(tight.summary.languages.map(({ language, kept }) => [language, kept])).toEqual([
      ["deu", true],
      ["swa", false],
    ]);
    for (const { strength, forgotten, languages, bitsPerByte } of tight.events) {
      expect(forgotten).toBeLessThanOrEqual(1e-4);
      expect(strength).toBeLessThanOrEqual(1);
      expect(bitsPerByte).toBe(languages.swa!);
    }
    expect(loose.last.strength).toBe(1);
    expect(loose.last.bitsPerByte).toBeLessThan(loose.events[0]!.bitsPerByte);
    // Training itself is the same, whatever is taken of it.
    const [a, b] = [tight, loose].map(({ folder }) =>
      readFileSync(runFiles(folder).metrics, "utf8").match(/"event":"step".*/g),
    );
    expect(a).toEqual(b!);
  },
);
