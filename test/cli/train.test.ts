/** `lola train` as a command: a run begun, shown, stopped, resumed and used, and what is refused. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { library, usableSets } from "../../src/device/cpu/library.ts";
import { tinyFile } from "../checkpoint/tiny.ts";
import { commandLine, environment, home, lola, onTerminal, root } from "./lola.ts";

const corpus = join(home, "corpus");
const tiny = [
  ...["--device", "reference", "--width", "8", "--layers", "2", "--experts", "2", "--vocabulary", "300"],
  ...["--context", "16", "--batch", "2", "--validation", "0.2"],
];
const steps = (count: number, every = 4) => ["--tokens", String(32 * count), "--validate-every", String(every)];

beforeAll(() => {
  mkdirSync(corpus);
  const words = { swa: ["haki", "sawa", "watu", "wote", "huru"], yor: ["gbogbo", "ènìyàn", "ni", "a", "bí"] };
  for (const [language, list] of Object.entries(words)) {
    const line = (i: number) => Array.from({ length: 9 }, (_, k) => list[(i * 7 + k * k) % list.length]).join(" ");
    writeFileSync(join(corpus, `${language}.txt`), Array.from({ length: 40 }, (_, i) => line(i)).join("\n\n"));
  }
});

const fileOf = (run: string, name: string) => readFileSync(join(home, run, name));
const events = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Starts a run and sends signals when it tells of its first validation. */
async function interrupted(args: string[], signal: NodeJS.Signals) {
  const child = Bun.spawn(commandLine(args), {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe", cwd: home, env: environment() },
  });
  let [err, sent] = ["", false];
  for await (const chunk of child.stderr) {
    err += new TextDecoder().decode(chunk);
    if (sent || !err.includes("step 25 of")) continue;
    child.kill(signal);
    sent = true;
  }
  return { code: await child.exited, err, out: await new Response(child.stdout).text() };
}

describe("a run in a pipe", () => {
  const line = ["train", corpus, "-o", "whole", ...tiny, ...steps(250, 25)];

  test("tells languages and sizes before, a line a validation, and the result on stdout", async () => {
    const ran = await lola(line);
    expect(ran.code).toBe(0);
    expect(ran.err).toMatch(/^language +text +tokens +share +epochs\n(swa|yor) /);
    expect(ran.err).toMatch(/step 25 of 250: loss \d\.\d{3}, \d\.\d{4} bits per byte/);
    expect(ran.err).toContain("memory");
    expect(ran.err + ran.out).not.toMatch(/[^\n\x20-\x7e×]/);
    expect(ran.out).toMatch(/^run +whole\nsteps +250 of 250, done\n/);
    for (const name of [
      "config.json",
      "metrics.jsonl",
      "report.html",
      "checkpoints/last.lola",
      "checkpoints/best.lola",
    ])
      expect(fileOf("whole", name).length).toBeGreaterThan(0);
  });

  test("its folder is a model", async () => {
    const ran = await lola(["generate", "haki", "-m", "whole", "-n", "4", "--device", "reference", "--json"]);
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.out).samples[0].ids).toHaveLength(4);
  });

  test("another run can start from its weights", async () => {
    const flags = ["--device", "reference", "--batch", "2", ...steps(1)];
    const ran = await lola(["train", corpus, "-m", "whole", "-o", "second", ...flags, "--json"]);
    expect(ran).toMatchObject({ code: 0 });
    const [first] = events(fileOf("second", "metrics.jsonl").toString());
    const [begun] = events(fileOf("whole", "metrics.jsonl").toString());
    expect(first.loss).toBeLessThan(begun.loss);
    expect(JSON.parse(ran.out)).toMatchObject({ end: "done", step: 1, steps: 1 });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGUSR1", 143],
  ] as const)("%s saves, ends with %i, and a resume is the unbroken run", async (signal, code) => {
    const run = signal.toLowerCase();
    const stopped = await interrupted(["train", corpus, "-o", run, ...tiny, ...steps(250, 25)], signal);
    expect(stopped.code).toBe(code);
    expect(stopped.err).toContain(`to go on: lola train --resume ${run}\n`);
    expect(stopped.out).toMatch(/steps +\d+ of 250, stopped/);
    const resumed = await lola(["train", "--resume", run, "--json"]);
    expect(JSON.parse(resumed.out)).toMatchObject({ end: "done", step: 250 });
    for (const name of ["metrics.jsonl", "checkpoints/last.lola"])
      expect(fileOf(run, name).equals(fileOf("whole", name))).toBe(true);
  });

  test("SIGUSR2 saves between the steps that do so anyway, and the run goes on", async () => {
    const args = ["train", corpus, "-o", "saved", ...tiny, ...steps(100, 25), "--save-every", "100", "--jsonl"];
    const ran = await interrupted(args, "SIGUSR2");
    expect(ran.code).toBe(0);
    const saves = events(ran.out).filter(({ event, best }) => event === "save" && !best);
    expect(saves.map(({ step }) => step)).toEqual([expect.any(Number), 100]);
    expect(saves[0].step).toBeLessThan(100);
  });

  test("--jsonl tells all that happens", async () => {
    const ran = await lola(["train", "-", "-o", "piped", ...tiny, ...steps(4, 2), "--jsonl", "-q"], {
      stdin: readFileSync(join(corpus, "swa.txt"), "utf8"),
    });
    expect(ran).toMatchObject({ code: 0, err: "" });
    const told = events(ran.out);
    expect(told.map(({ event }) => event).filter((e) => e !== "speed")).toEqual([
      ...["start", "step", "step", "validation", "save", "save"],
      ...["step", "step", "validation", "save", "save", "end"],
    ]);
    expect(told[0]).toMatchObject({ run: "piped", steps: 4, languages: [{ language: "und" }] });
    expect(told.at(-1)).toMatchObject({ end: "done", tokens: 128 });
    expect(await lola(["train", "--resume", "piped", "-q"])).toMatchObject({ code: 0 });
  });

  test.each(["gzip", "zstd"] as const)(
    "compressed text on stdin (%s) is the text, now and after a resume",
    async (name) => {
      const text = readFileSync(join(corpus, "swa.txt"));
      const stdin = new Uint8Array(name === "gzip" ? Bun.gzipSync(text) : Bun.zstdCompressSync(text));
      const begun = await lola(["train", "-", "-o", name, ...tiny, ...steps(2, 2), "--jsonl", "-q"], { stdin });
      expect(begun).toMatchObject({ code: 0, err: "" });
      expect(fileOf(name, `stdin.txt.${name === "gzip" ? "gz" : "zst"}`).equals(stdin)).toBe(true);
      const { languages } = events(begun.out)[0];
      const resumed = await lola(["train", "--resume", name, "--dry-run", "--json"]);
      expect(JSON.parse(resumed.out).languages).toEqual(languages);
    },
  );
});

test("--dry-run tells what it would take and makes nothing", async () => {
  const ran = await lola(["train", corpus, ...tiny, ...steps(12), "--dry-run", "--json"]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  const { run, steps: count, memory, parameters, languages, config } = JSON.parse(ran.out);
  expect([run, count, languages.length]).toEqual([null, 12, 2]);
  expect(memory.total).toBeGreaterThan(16 * parameters.total);
  expect(config.model).toMatchObject({ width: 8, heads: 4, inner: 32, experts: 2, context: 16, eos: 5 });
});

/** Elsewhere than on a processor with AMX nothing but the refusal can run. */
test("a run is begun, and goes on, in the precision asked for", async () => {
  const flags = [...tiny, ...steps(2), "--device", "cpu"];
  const ran = await lola(["train", corpus, "-o", "half", ...flags, "--precision", "bf16", "-q"]);
  if (!usableSets(library()).has("amx")) {
    expect(ran).toMatchObject({ code: 4, out: "" });
    expect(ran.err).toMatch(/^lola: no products in bf16 here: .*\ntry: --precision f32\n$/);
    return;
  }
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(fileOf("half", "config.json").toString()).device).toMatchObject({ kind: "cpu", precision: "bf16" });
  const again = async (...more: string[]) => {
    const { out } = await lola(["train", "--resume", "half", "--dry-run", "--json", ...more]);
    return JSON.parse(out).device.name;
  };
  expect(await again()).toStartWith("AMX in bf16");
  expect(await again("--precision", "f32")).not.toContain("bf16");
});

test("f16 takes a GPU, or a software adapter that is asked for", async () => {
  const flags = [...tiny, ...steps(2), "--precision", "f16"];
  const refused = await lola(["train", corpus, "-o", "f16", ...flags, "--device", "auto"]);
  expect(refused).toMatchObject({ code: 4, out: "" });
  expect(refused.err).toMatch(/^lola: .* runs on the CPU, .*\ntry: --precision f32, or --device software\n$/);
  const ran = await lola(["train", corpus, "-o", "f16", ...flags, "--device", "software", "--dry-run", "--json"]);
  expect(ran.code).toBe(0);
  const { device, config } = JSON.parse(ran.out);
  expect(device).toEqual({ kind: "gpu", name: expect.stringMatching(/ in f16$/) });
  expect(config.device).toEqual({ ...device, software: true, precision: "f16" });
});

test("a run in f32 does not go on in f16, whose losses are scaled", async () => {
  const ran = await lola(["train", "--resume", "whole", "--precision", "f16", "--device", "software"]);
  expect(ran).toMatchObject({ code: 2, out: "" });
  expect(ran.err).toContain("--precision f16 contradicts the run's f32");
});

test("a quantized model is no beginning", async () => {
  writeFileSync(join(home, "quantized.lola"), await tinyFile("q8_32"));
  expect(
    await lola(["train", corpus, "-o", "from-quantized", "-m", "quantized.lola", "--device", "reference"]),
  ).toEqual({
    code: 2,
    out: "",
    err: "lola: quantized.lola is quantized (wte.weight is q8_32): steps smaller than its grid would be lost\ntry: train from the model that it was made from\n",
  });
});

test("what cannot fit is refused with the numbers, before anything is made", async () => {
  const huge = ["--layers", "64", "--width", "16384", "--heads", "64", "--vocabulary", "300"];
  const ran = await lola(["train", corpus, "-o", "huge", "--device", "reference", ...huge]);
  expect(ran.code).toBe(4);
  expect(ran.err).toMatch(
    /^lola: this run needs [\d.]+ TB of memory, .*\d [GM]B are left\ntry: --preset small --micro-batch 1\n$/,
  );
});

describe("misuse", () => {
  const model = join(root, "../shared/fixtures/tiny-lola");
  const data = (text: string, name: string) => {
    writeFileSync(join(home, name), text);
    return name;
  };

  test.each([
    [["--resume", "whole", "--lr", "0.5"], 2, "--lr 0.5 contradicts the run's 0.005"],
    [["--resume", "whole", "--width", "8", "--dry-run"], 0, ""],
    [["--resume", "whole", "--preset", "mini"], 2, "--preset is settled when a run begins"],
    [["--resume", "whole", join(corpus, "swa.txt")], 3, "the data is not what whole began with"],
    [["--resume", "whole", "-o", "other"], 2, "--resume goes on in its own folder"],
    [["--resume", "nowhere"], 2, "nowhere holds no training run"],
    [[corpus, "-o", "whole"], 2, "whole holds a training run already"],
    [[corpus, "-o", "corpus"], 2, "corpus is not empty: it holds swa.txt"],
    [[corpus, "-o", join(corpus, "swa.txt")], 2, "swa.txt is a file"],
    [["none", "-o", "x"], 2, "none: no such file or folder"],
    [[corpus, "-o", "x", ...tiny, "--precision", "bf16"], 2, "--device reference computes in f32 only"],
    [[corpus, "-o", "x", ...tiny, "--precision", "f16"], 2, "--device reference computes in f32 only"],
    [[corpus, "-o", "x", "--device", "cpu", "--precision", "f16"], 2, "--device cpu computes in f32 and bf16 only"],
    [[corpus, "-o", "x", "--heads", "3"], 2, "--heads 3 do not divide a width of 128"],
    [[corpus, "-o", "x", "--batch", "16", "--micro-batch", "5"], 2, "does not divide a batch of 16"],
    [
      [corpus, "-o", "x", "--batch", "4", "--micro-batch", "2", "--accumulate", "3"],
      2,
      "is not --micro-batch 2 × --accumulate 3",
    ],
    [[corpus, "-o", "x", "--token-order", "first"], 2, "--token-order has no meaning"],
    [[corpus, "-o", "x", "-m", model, "--width", "8"], 2, "--width 8: the model to start from has 32"],
    [[corpus, "-o", "x", "-m", model, "--tokenizer", model], 2, "two tokenizers"],
    [[corpus, "-o", "x", "--tokenizer", model, "--vocabulary", "262"], 2, "--vocabulary 262: the tokenizer has"],
    [[corpus, "-o", "x", "--json", "--jsonl"], 2, "two forms of output"],
  ] as [string[], number, string][])("%j ends with %i", async (args, code, why) => {
    const ran = await lola(["train", ...args]);
    expect(ran.code).toBe(code);
    expect(ran.err).toContain(why);
    expect(ran.err).not.toContain("    at ");
  });

  test("data without text, or that is none, exits 3", async () => {
    const flags = ["-o", "x", "--vocabulary", "300"];
    expect(await lola(["train", data("", "empty.txt"), ...flags])).toMatchObject({ code: 3, out: "" });
    expect(await lola(["train", data('{"txt": 1}\n', "bad.jsonl"), ...flags])).toMatchObject({ code: 3, out: "" });
  });
});

describe("in a terminal", () => {
  test("the progress line moves, and the run is told", async () => {
    const ran = await onTerminal(["train", corpus, "-o", "shown", ...tiny, ...steps(12)]);
    expect(ran.code).toBe(0);
    expect(ran.shown).toMatch(/\rstep 5\/12 {2}41 % {2}loss \d\.\d{3} {2}\d\.\d{3} bits\/byte/);
    expect(ran.shown).toMatch(/[▁▂▃▄▅▆▇█]/);
  });

  test("it asks for what is missing and tells the command", async () => {
    const given = ["train", ...tiny, ...steps(1), "--preset", "nano", "-o", "asked"];
    const ran = await onTerminal(given, (shown) => (shown.includes("holds the text?") ? `${corpus}\r` : undefined));
    expect(ran.code).toBe(0);
    expect(ran.shown.replace(/\s+/g, " ")).toContain(`--preset nano -o asked ${corpus}`);
  });
});
