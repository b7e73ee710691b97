/** A run in its folder: stopping and going on, steps that fail, what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LolaError } from "../../src/base/errors.ts";
import { sha256 } from "../../src/base/hash.ts";
import { validationWindows } from "../../src/data/validation.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { Device } from "../../src/device/device.ts";
import { initialWeights } from "../../src/model/init.ts";
import { loadModel, openSource } from "../../src/model/open.ts";
import { openCheckpoint } from "../../src/train/checkpoint.ts";
import { TrainingEngine } from "../../src/train/engine.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { isRun, runFiles } from "../../src/train/folder.ts";
import { readRun, TrainingRun } from "../../src/train/run.ts";
import { tinyData, tinyModel, tinyRun } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-run-"));
let device: Device;
beforeAll(async () => {
  device = (await openDevice("cpu", { threads: 1 })).device;
});
afterAll(() => {
  device.close();
  rmSync(root, { recursive: true });
});

let count = 0;
const newFolder = () => join(root, String(count++));
const data = tinyData();

const hashes = (folder: string) => {
  const { last, best, metrics } = runFiles(folder);
  return [last, best, metrics].map((path) => sha256(readFileSync(path)));
};

/** A whole run; `during` is told of every event and may abort it. */
async function trainAll(run: TrainingRun, during: (event: TrainingEvent, stop: () => void) => void = () => {}) {
  const events: TrainingEvent[] = [];
  const stopping = new AbortController();
  try {
    const onEvent = (event: TrainingEvent) => {
      events.push(event);
      during(event, () => stopping.abort());
    };
    return { ...(await run.train({ signal: stopping.signal, onEvent })), events };
  } finally {
    run.close();
  }
}

/** A run that believes its products to be in f16, and scales its losses. */
const scaledRun = () => tinyRun({ device: { kind: "gpu", name: "test", software: true, precision: "f16" } });

const failure = (promise: Promise<unknown>): Promise<LolaError> =>
  promise.then(
    () => expect.unreachable(),
    (error) => {
      expect(error).toBeInstanceOf(LolaError);
      return error as LolaError;
    },
  );

/** A finished run of 40 steps, for all tests that only read. */
let done: string;
let doneEvents: TrainingEvent[];
beforeAll(async () => {
  done = newFolder();
  const run = await TrainingRun.create(device, done, tinyRun(), data);
  expect(isRun(done)).toBe(true);
  const { end, step, skipped, events } = await trainAll(run);
  expect({ end, step, skipped }).toEqual({ end: "done", step: 40, skipped: 0 });
  doneEvents = events;
});

describe("a whole run", () => {
  test("learns", () => {
    const found = doneEvents.flatMap((e) => (e.event === "validation" ? [e.bitsPerByte] : []));
    expect(found).toHaveLength(5);
    expect(found.at(-1)!).toBeLessThan(found[0]! - 0.5);
  });

  test("writes step and validation events as they were told", () => {
    const lines = readFileSync(runFiles(done).metrics, "utf8").trimEnd().split("\n");
    const told = doneEvents.filter(({ event }) => event === "step" || event === "validation");
    expect(lines).toEqual(told.map((event) => JSON.stringify(event)));
    const speed = readFileSync(runFiles(done).speed, "utf8").trimEnd().split("\n");
    expect(JSON.parse(speed.at(-1)!)).toMatchObject({ event: "speed", step: 40 });
  });

  test("gives a model: the folder stands for the best weights, and each file for its own", async () => {
    const best = openSource(done);
    const { tokenizer } = data;
    const model = loadModel(device, best);
    expect(model.tokenizer.data).toEqual(tokenizer.data);
    const windows = validationWindows(data.languages, tokenizer, tinyModel.eos, 16, 3);
    // The same sum by the engine of inference: validation drops nothing, though training does.
    let [bits, bytes] = [0, 0];
    for (const { tokens, targets, bytes: text } of windows) {
      const { logits } = await model.session().scores(tokens.subarray(0, targets));
      for (let t = 0; t < targets; t++) {
        const row = logits.subarray(t * tinyModel.vocabulary, (t + 1) * tinyModel.vocabulary);
        const sum = row.reduce((total, z) => total + Math.exp(z), 0);
        bits += (Math.log(sum) - row[tokens[t + 1]!]!) / Math.LN2;
      }
      bytes += text;
    }
    const wanted = Math.min(...doneEvents.flatMap((e) => (e.event === "validation" ? [e.bitsPerByte] : [])));
    expect(bits / bytes).toBeCloseTo(wanted, 4);
    const last = openSource(runFiles(done).last);
    expect(last.provenance.made).toBe("train");
    for (const source of [best, last]) source.close();
    expect(readRun(done)).toMatchObject({ config: tinyRun(), step: 40, steps: 40 });
  });

  test("resumed, has nothing left to do and changes nothing", async () => {
    const before = hashes(done);
    const { events, end } = await trainAll(await TrainingRun.resume(device, done, data));
    expect({ events, end }).toEqual({ events: [], end: "done" });
    expect(hashes(done)).toEqual(before);
  });
});

describe("stopped by its signal", () => {
  // 7: between saves. 8: while it validates. 10: while it would save. 39: before the last.
  for (const at of [1, 7, 8, 10, 39])
    test(`in step ${at}, a run saves that step, and ends as if it had not been stopped`, async () => {
      const folder = newFolder();
      const run = await TrainingRun.create(device, folder, tinyRun(), data);
      const { end, step } = await trainAll(run, (event, stop) => event.event === "step" && event.step === at && stop());
      expect({ end, step }).toEqual({ end: "stopped", step: at });
      expect(readRun(folder).step).toBe(at);
      await trainAll(await TrainingRun.resume(device, folder, data));
      expect(hashes(folder)).toEqual(hashes(done));
    });
});

describe("a gradient that is not finite", () => {
  const poison = (engine: TrainingEngine) => {
    const weights = initialWeights(tinyModel, 1n, 0.02);
    engine.load("weights", {
      ...weights,
      *read(name) {
        for (const piece of weights.read(name)) {
          const bytes = Uint8Array.from(piece);
          if (name === "wpe.weight") new Float32Array(bytes.buffer)[5] = Number.NaN;
          yield bytes;
        }
      },
    });
  };

  test("changes nothing", async () => {
    const { model, recipe, shape } = tinyRun();
    const engine = new TrainingEngine(device, model, recipe, shape, 7n);
    const read = async () => {
      const found: string[] = [];
      for (const what of ["weights", "m", "v"] as const)
        for await (const { pieces } of engine.stored(what)) for await (const piece of pieces) found.push(sha256(piece));
      return found;
    };
    poison(engine);
    const before = await read();
    const rows = Uint32Array.from({ length: 32 }, (_, i) => i);
    const { bad } = await engine.step([{ inputs: rows, targets: rows }], 1, 0.1);
    expect(bad).toBeGreaterThan(0);
    expect(await read()).toEqual(before);
    expect(before.length).toBeGreaterThan(60);
  });

  test("leaves out its step, and is told", async () => {
    const folder = newFolder();
    const run = await TrainingRun.create(device, folder, tinyRun(), data);
    const { end, skipped, events } = await trainAll(run, ({ event, step }) => {
      if (event === "step" && step === 6) poison(run.engine);
      if (event === "step" && step === 8) run.engine.load("weights", initialWeights(tinyModel, 1n, 0.02));
    });
    expect({ end, skipped }).toEqual({ end: "done", skipped: 2 });
    const bad = events.filter((event) => event.event === "step" && event.bad > 0);
    expect(bad.map(({ step }) => step)).toEqual([7, 8]);
    expect(openedState(folder)).toMatchObject({ skipped: 2, bad: 0, step: 40 });
  });

  test("three times in a row ends the run with exit 5; the last checkpoint stays", async () => {
    const folder = newFolder();
    const run = await TrainingRun.create(device, folder, tinyRun(), data);
    let saved: string[] = [];
    const training = trainAll(run, ({ event, step }) => {
      if (event === "save" && step === 5) saved = [sha256(readFileSync(runFiles(folder).last))];
      if (event === "step" && step === 6) poison(run.engine);
    });
    const error = await failure(training);
    expect(error.exitCode).toBe(5);
    expect(error.message).toContain("3 steps in a row");
    // Four rows a step: the ninth has the rows 32 to 35.
    expect(error.message).toMatch(/in step 9, \d+ elements of it, from rows 32 to 35 \((deu, swa|swa, deu|deu|swa)\)/);
    expect(error.hint).toContain("step 5");
    expect(saved).toEqual([sha256(readFileSync(runFiles(folder).last))]);
    expect(readRun(folder).step).toBe(5);
  });

  test("in f16 lowers the loss scale first, and ends the run when that is 1", async () => {
    const run = await TrainingRun.create(device, newFolder(), scaledRun(), data);
    const scales: (number | undefined)[] = [];
    const training = trainAll(run, (event) => {
      if (event.event !== "step") return;
      scales.push(event.lossScale);
      if (event.step === 6) poison(run.engine);
    });
    expect((await failure(training)).message).toContain("in step 21, ");
    const halved = Array.from({ length: 11 }, (_, i) => 2 ** (11 - i));
    expect(scales).toEqual([...new Array(6).fill(2048), 2048, ...halved, 1, 1, 1]);
  });
});

test("in f16 a resumed run has the loss scale of the unbroken one", async () => {
  const [whole, broken] = [newFolder(), newFolder()];
  await trainAll(await TrainingRun.create(device, whole, scaledRun(), data));
  const stopAt = (last: number) => (event: TrainingEvent, stop: () => void) => {
    if (event.event === "step" && event.step === last) stop();
  };
  const first = await trainAll(await TrainingRun.create(device, broken, scaledRun(), data), stopAt(17));
  expect(first).toMatchObject({ end: "stopped", step: 17 });
  expect(openedState(broken).scaling).toEqual({ scale: 2048, patience: 2, clean: 17 });
  await trainAll(await TrainingRun.resume(device, broken, data));
  expect(hashes(broken)).toEqual(hashes(whole));
});

const openedState = (folder: string) => {
  const { state, close } = openCheckpoint(runFiles(folder).last);
  close();
  return state;
};

describe("refused", () => {
  const begin = (folder: string) => TrainingRun.create(device, folder, tinyRun(), data);
  const resume = (folder: string, from = data) => TrainingRun.resume(device, folder, from);
  /** A copy of the finished run. */
  const copy = () => {
    const folder = newFolder();
    cpSync(done, folder, { recursive: true });
    return folder;
  };

  test("a folder with a run, and one without", async () => {
    expect(await failure(begin(done))).toMatchObject({ kind: "usage", hint: expect.stringContaining("--resume") });
    const model = newFolder();
    mkdirSync(model);
    expect(await failure(resume(model))).toMatchObject({ kind: "usage" });
    writeFileSync(join(model, "config.json"), "{}");
    expect(await failure(begin(model))).toMatchObject({
      kind: "usage",
      message: expect.stringContaining("not a run's"),
    });
    expect(readdirSync(model)).toEqual(["config.json"]);
  });

  test("other data", async () => {
    const ids = data.languages[1]!.train.ids.slice();
    ids[17]!++;
    const other = data.languages.map((language, i) =>
      i === 1 ? { ...language, train: { ...language.train, ids } } : language,
    );
    expect(await failure(resume(done, { ...data, languages: other }))).toMatchObject({ code: "run.data" });
    expect(await failure(resume(done, { ...data, languages: data.languages.slice(1) }))).toMatchObject({
      code: "run.data",
    });
  });

  test("settings that are damaged, or of another model", async () => {
    const folder = copy();
    const { config } = runFiles(folder);
    const text = readFileSync(config, "utf8");
    const broken = [
      text.slice(0, 40),
      text.replace('"accumulate": 2', '"accumulate": 0'),
      text.replace('"beta1": 0.9', '"beta1": null'),
      text.replace('"seed": "7"', '"seed": "-7"'),
      text.replace('"experts": 2', '"experts": 4'),
    ];
    for (const broke of broken) {
      expect(broke).not.toBe(text);
      writeFileSync(config, broke);
      expect(await failure(resume(folder))).toMatchObject({
        code: "run.config",
        message: expect.stringContaining(config),
      });
    }
  });

  test("metrics that are shorter than the checkpoint knows; longer ones are cut", async () => {
    const folder = copy();
    const { metrics } = runFiles(folder);
    const text = readFileSync(metrics, "utf8");
    appendFileSync(metrics, '{"event":"step"');
    (await resume(folder)).close();
    expect(readFileSync(metrics, "utf8")).toBe(text);
    writeFileSync(metrics, text.slice(1));
    expect(await failure(resume(folder))).toMatchObject({ code: "run.log" });
  });

  test("a checkpoint that is a plain model, or damaged", async () => {
    const folder = copy();
    const { last, best } = runFiles(folder);
    const bytes = readFileSync(last);
    writeFileSync(last, readFileSync(best));
    expect(await failure(resume(folder))).toMatchObject({ code: "header.kind" });
    bytes[5000]! ^= 1;
    writeFileSync(last, bytes);
    expect(await failure(resume(folder))).toMatchObject({ code: "chunk.hash" });
    writeFileSync(last, bytes.subarray(0, 9000));
    expect(await failure(resume(folder))).toMatchObject({ code: "file.truncated" });
  });

  test("a model that the tokenizer or the rows do not fit", async () => {
    const small = (changes: object) => tinyRun({ model: { ...tinyModel, ...changes } });
    for (const config of [small({ vocabulary: 200, bos: 0, eos: 1, pad: 2 }), small({ context: 8 })])
      expect(await failure(TrainingRun.create(device, newFolder(), config, data))).toMatchObject({ kind: "usage" });
  });
});

test("memory of moments: what is loaded is what was saved", async () => {
  const { model, recipe, shape } = tinyRun();
  const engine = new TrainingEngine(device, model, recipe, shape, 7n);
  const { weights, m, v, close } = openCheckpoint(runFiles(done).last);
  for (const [what, source] of Object.entries({ weights, m, v }) as ["weights" | "m" | "v", typeof m][]) {
    engine.load(what, source);
    for await (const { name, pieces } of engine.stored(what)) {
      const stored = Buffer.concat(Array.from(source.read(name), (piece) => Uint8Array.from(piece)));
      for await (const piece of pieces) expect(sha256(piece)).toBe(sha256(stored));
    }
  }
  close();
});
