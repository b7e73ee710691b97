/** Runs that adapt a model: resumed to the byte, also after kills; ended early; what they leave; what they refuse. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError, LolaError } from "../../src/base/errors.ts";
import { sha256 } from "../../src/base/hash.ts";
import { openAdapter } from "../../src/checkpoint/adapter-file.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { openLola } from "../../src/checkpoint/lola-file.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { TuningConfig } from "../../src/train/config.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { isRun, runFiles } from "../../src/train/folder.ts";
import { routedExperts } from "../../src/train/routed-experts.ts";
import { openTuning } from "../../src/train/tuning.ts";
import { readTuningRun, TuningRun } from "../../src/train/tuning-run.ts";
import { tinyTuning, writeModel, writeRows } from "./tiny-tuning.ts";

const root = mkdtempSync(join(tmpdir(), "lola-finetune-"));
afterAll(() => rmSync(root, { recursive: true }));
const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => device.close());

const files = { model: join(root, "model.lola"), data: join(root, "rows.jsonl") };
const other = { model: join(root, "other.lola"), data: join(root, "other.jsonl") };
beforeAll(async () => {
  await writeModel(files.model);
  await writeModel(other.model, 4n);
  writeRows(files.data);
  writeRows(other.data, 61);
});

let folders = 0;
const newFolder = () => join(root, `run-${folders++}`);

/** Trains, up to `stop` steps of this time. */
async function trained(run: TuningRun, stop = Number.POSITIVE_INFINITY) {
  const events: TrainingEvent[] = [];
  const controller = new AbortController();
  const onEvent = (event: TrainingEvent) => {
    events.push(event);
    if (event.event === "step" && event.step >= stop) controller.abort();
  };
  const outcome = await run.train({ signal: controller.signal, onEvent });
  run.close();
  return { ...outcome, events };
}

async function begun(method: "lora" | "full" | "experts", folder: string, changes: Partial<TuningConfig> = {}) {
  const { config, data } = await tinyTuning(method, files, changes);
  return TuningRun.create(device, folder, config, data);
}

function hashes(folder: string): Record<string, string> {
  const { last, best, metrics, config } = runFiles(folder);
  return Object.fromEntries(
    Object.entries({ last, best, metrics, config }).map(([name, path]) => [name, sha256(readFileSync(path))]),
  );
}

const bitsOf = (events: readonly TrainingEvent[]) =>
  events.flatMap((event) => (event.event === "validation" ? [event.bitsPerByte] : []));

describe.each(["lora", "experts", "full"] as const)("%s", (method) => {
  test("held-out examples gain, and the model is measured before the first step", async () => {
    const { end, step, events } = await trained(await begun(method, newFolder()));
    expect([end, step]).toEqual(["done", 30]);
    const [first] = events;
    expect(first).toMatchObject({ event: "validation", step: 0 });
    const bits = bitsOf(events);
    expect(bits).toHaveLength(1 + 8);
    expect(Math.min(...bits)).toBeLessThan(0.98 * bits[0]!);
  });

  test("stopped and resumed twice it ends as the run that was not", async () => {
    const [whole, broken] = [newFolder(), newFolder()];
    await trained(await begun(method, whole));
    expect((await trained(await begun(method, broken), 7)).end).toBe("stopped");
    const { data } = await tinyTuning(method, files);
    expect((await trained(await TuningRun.resume(device, broken, data), 20)).step).toBe(20);
    expect(readTuningRun(broken)).toMatchObject({ step: 20, steps: 30, config: { method } });
    expect((await trained(await TuningRun.resume(device, broken, data))).end).toBe("done");
    expect(hashes(broken)).toEqual(hashes(whole));
  });
});

test("killed five times, and in between at that, it ends in the same bytes", async () => {
  const live = async (folder: string, after?: number) => {
    const command = [process.execPath, join(import.meta.dir, "finetune-child.ts")];
    const child = Bun.spawn([...command, folder, "lora", files.model, files.data], { stderr: "pipe" });
    const errors = new Response(child.stderr).text();
    let steps = 0;
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      steps += piece.split('"event":"step"').length - 1;
      if (after !== undefined && steps >= after) child.kill("SIGKILL");
    }
    const code = await child.exited;
    if (code !== 0 && child.signalCode !== "SIGKILL") throw new Error(await errors);
    return code !== 0;
  };
  const [straight, broken] = [newFolder(), newFolder()];
  expect(await live(straight)).toBe(false);
  let kills = 0;
  // The first may fall before there is a run; the others let some steps pass.
  for (const after of [0, 4, 5, 6, 7]) if (await live(broken, after)) kills++;
  expect(kills).toBe(5);
  expect(isRun(broken)).toBe(true);
  expect(await live(broken)).toBe(false);
  expect(hashes(broken)).toEqual(hashes(straight));
  expect(readdirSync(broken).sort()).toEqual(["checkpoints", "config.json", "metrics.jsonl", "speed.jsonl"]);
}, 60_000);

describe("early", () => {
  /** Without weight decay a rate of zero leaves all as it is, so that nothing is ever better than the first. */
  const hopeless = async (folder: string, rate = 0) => {
    const { config } = await tinyTuning("lora", files);
    return begun("lora", folder, { patience: 2, recipe: { ...config.recipe, rate, finalRate: rate, weightDecay: 0 } });
  };

  test("a run that gets no better ends, its best kept, and has nothing to go on with", async () => {
    const folder = newFolder();
    const { end, step, events } = await trained(await hopeless(folder));
    expect(end).toBe("early");
    const bits = bitsOf(events);
    expect(bits).toEqual([bits[0]!, bits[0]!, bits[0]!]);
    expect(step).toBe(8);
    expect(events.filter((event) => event.event === "save" && event.best)).toEqual([
      { event: "save", step: 0, best: true },
    ]);
    const { data } = await tinyTuning("lora", files);
    const again = await trained(await TuningRun.resume(device, folder, data));
    expect(again).toMatchObject({ end: "early", step, events: [] });
  });

  test("as long as it gets better it goes on", async () => {
    expect((await trained(await hopeless(newFolder(), 1e-2))).end).toBe("done");
  });

  test("a run that was stopped on its way there ends at the same step, in the same bytes", async () => {
    const [whole, broken] = [newFolder(), newFolder()];
    const { step } = await trained(await hopeless(whole));
    await trained(await hopeless(broken), 6);
    const { data } = await tinyTuning("lora", files);
    expect((await trained(await TuningRun.resume(device, broken, data))).step).toBe(step);
    expect(hashes(broken)).toEqual(hashes(whole));
  });
});

describe("what is left", () => {
  test("an adapter, bound to its base, with the template", async () => {
    const folder = newFolder();
    await trained(await begun("lora", folder));
    const adapter = openAdapter(fileBytes(runFiles(folder).best));
    const { config, data } = await tinyTuning("lora", files);
    expect(adapter.base).toMatchObject({ identity: data.model.identity, name: files.model });
    expect(adapter.adapter).toEqual(config.shape.adapter!);
    expect(adapter.template).toEqual({ ...config.template });
    expect(adapter.provenance.from).toContain("examples in 2 languages");
    adapter.close();
  });

  test("a model in which nothing but the chosen experts has changed", async () => {
    const folder = newFolder();
    await trained(await begun("experts", folder));
    const [before, after] = [files.model, runFiles(folder).best].map((path) => openLola(fileBytes(path)));
    const content = (name: string, of = before!) => Buffer.concat(Array.from(of.read(name), (p) => p.slice()));
    const changed = [...before!.tensors.keys()].filter((name) => !content(name).equals(content(name, after!)));
    expect(changed).toEqual(
      ["c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias"].map((name) => `h.1.moe.experts.1.${name}`),
    );
    expect(after!.tokenizer).toEqual(before!.tokenizer);
    for (const model of [before!, after!]) model.close();
  });

  test("with nothing held out, the newest", async () => {
    const folder = newFolder();
    const { config } = await tinyTuning("lora", files);
    const data = { ...config.data, validation: 0 };
    const { events } = await trained(await begun("lora", folder, { data }));
    expect(bitsOf(events)).toEqual([]);
    const adapter = openAdapter(fileBytes(runFiles(folder).best));
    const last = openTuning(runFiles(folder).last);
    for (const name of adapter.tensors.keys())
      expect([...adapter.read(name)].map((p) => p.slice())).toEqual([...last.weights.read(name)].map((p) => p.slice()));
    adapter.close();
    last.close();
  });
});

describe("refused", () => {
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => expect.unreachable(),
      (error: LolaError) => error,
    );

  test("to go on with another base, or other examples", async () => {
    const folder = newFolder();
    await trained(await begun("lora", folder), 2);
    const resume = async (from: typeof files) => {
      const { data } = await tinyTuning("lora", from);
      return failure(TuningRun.resume(device, folder, data));
    };
    const base = await resume({ ...files, model: other.model });
    expect(base).toBeInstanceOf(DataError);
    expect(base.message).toMatch(/run-\d+ adapts .*model\.lola \([\da-f]{12}…\), .*other\.lola is another model/);
    expect(await resume({ ...files, data: other.data })).toMatchObject({ code: "run.data" });
    const { data } = await tinyTuning("lora", files);
    (await TuningRun.resume(device, folder, data)).close();
  });

  test("to begin where a run is, or to go on where there is none", async () => {
    const folder = newFolder();
    await trained(await begun("lora", folder), 1);
    expect(await failure(begun("lora", folder))).toMatchObject({ kind: "usage" });
    expect(() => readTuningRun(join(root, "nowhere"))).toThrow(LolaError);
  });
});

test("the experts that cover a share of the tokens are the fewest that do", async () => {
  const { data } = await tinyTuning("lora", files);
  const find = (share: number) => routedExperts(device, data.model, data.examples, share);
  const [all] = await find(1);
  expect(all).toMatchObject({ layer: 1, experts: [0, 1] });
  expect(all!.covered).toBeCloseTo(1);
  const [most] = await find(0.01);
  expect(most!.experts).toEqual([most!.shares.indexOf(Math.max(...most!.shares))]);
  expect(most!.covered).toBe(Math.max(...most!.shares));
});
