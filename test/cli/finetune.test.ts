/** `lola finetune` as a command: examples shown, a run planned, begun, stopped, resumed and used, and what is refused. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openAdapter } from "../../src/checkpoint/adapter-file.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { tunedModel, writeModel, writeRows } from "../train/tiny-tuning.ts";
import { commandLine, environment, home, lola, onTerminal } from "./lola.ts";

const engine = ["-m", "to-tune.lola", "--device", "cpu", "--threads", "1"];
/** 40 steps, measured four times. */
const short = ["--epochs", "2", "--batch", "1", "--context", "64", "--validate-every", "10"];

/** Instructions in three languages, as Alpaca has them. */
function writeAlpaca(path: string, count: number, asking = "Say the number"): void {
  const words = { deu: ["eins", "zwei"], swa: ["moja", "mbili"], yor: ["ọkan", "èjì"] };
  const rows = Array.from({ length: count }, (_, i) => {
    const lang = (["deu", "swa", "yor"] as const)[i % 3]!;
    return { instruction: `${asking} ${i}`, input: i % 4 === 0 ? lang : "", output: words[lang][i % 2], lang };
  });
  writeFileSync(path, JSON.stringify(rows));
}

beforeAll(async () => {
  await writeModel(join(home, "to-tune.lola"), 3n, { ...tunedModel, context: 512 });
  await writeModel(join(home, "not-tuned.lola"), 4n, { ...tunedModel, context: 512 });
  writeAlpaca(join(home, "alpaca.json"), 500);
  writeRows(join(home, "rows.jsonl"), 120);
});

const events = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const fileOf = (run: string, name: string) => readFileSync(join(home, run, name));

describe("instructions", () => {
  test("500 rows in three languages become an adapter", async () => {
    const args = ["finetune", "alpaca.json", ...engine, "-o", "alpaca", "--epochs", "1", "--rank", "4"];
    const ran = await lola(args);
    expect(ran.code).toBe(0);
    expect(ran.err).toContain("alpaca.json: 500 examples as Alpaca instructions\nlongest: ");
    expect(ran.err).toMatch(/\ndeu +\d+ +\d+ +\d+ +\d+ +1\.0\n/);
    expect(ran.err).toMatch(/\nmethod +lora: rank 4, alpha 8, on attention, dense, experts\n/);
    expect(ran.err).toMatch(/\nstep 0 of \d+: [\d.]+ bits per byte\n/);
    expect(ran.err + ran.out).not.toMatch(/[^\n\x20-\x7e×]/);
    expect(ran.out).toMatch(/^run +alpaca\nsteps +(\d+) of \1, done\n/);
    expect(ran.out).toMatch(/\nall +[\d.]+ +[\d.]+ +-\d+\.\d\d %\ndeu /);
    expect(ran.out).toContain('lola generate --adapter alpaca "..."');
    const adapter = openAdapter(fileBytes(join(home, "alpaca/checkpoints/best.lola")));
    expect(adapter.adapter).toMatchObject({ rank: 4, alpha: 8, dropout: 0 });
    expect(adapter.template).toMatchObject({ name: "alpaca" });
    adapter.close();
    expect(fileOf("alpaca", "report.html").toString()).toContain("<h1>lola finetune: alpaca</h1>");
  });

  test("the wording of prompts does not change what is learnt", async () => {
    writeAlpaca(join(home, "wordier.json"), 500, "Be so kind as to tell me in its own language the number");
    const counts = await Promise.all(
      ["alpaca.json", "wordier.json"].map(async (file) => {
        const { out } = await lola(["finetune", file, ...engine, "--dry-run", "--json", "--validation", "0"]);
        return JSON.parse(out).data.languages.map((l: { train: object }) => l.train);
      }),
    );
    const [plain, wordier] = counts as [{ counted: number; tokens: number }[], { counted: number; tokens: number }[]];
    for (const [i, { counted, tokens }] of plain.entries()) {
      expect(wordier[i]!.counted).toBe(counted);
      expect(wordier[i]!.tokens).toBeGreaterThan(tokens);
    }
    const whole = await lola(["finetune", "alpaca.json", ...engine, "--dry-run", "--json", "--train-on-prompt"]);
    const [first] = JSON.parse(whole.out).data.languages;
    expect(first.train.counted).toBe(first.train.tokens);
  });

  test("--preview shows examples, what is learnt between marks where nothing can be bold", async () => {
    const ran = await lola(["finetune", "alpaca.json", ...engine, "--preview", "2"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toMatch(/^example 1 of 2, \w{3}: \d+ tokens, \d+ of them learnt\nBelow is an instruction/);
    expect(ran.out).toMatch(/### Response:\[\[\S+<\|endoftext\|>\]\]\n\nexample 2 of 2/);
    const coloured = await lola(["finetune", "alpaca.json", ...engine, "--preview", "1"], {
      env: { FORCE_COLOR: "1" },
    });
    expect(coloured.out.replaceAll("\x1b", "ESC")).toMatch(/Response:ESC\[22mESC\[1m\S+<\|endoftext\|>ESC\[22m/);
  });
});

describe("a run", () => {
  const whole = ["finetune", "rows.jsonl", ...engine, ...short];

  test("that is stopped goes on as the unbroken one", async () => {
    expect(await lola([...whole, "-o", "tuned", "-q"])).toMatchObject({ code: 0, err: "" });
    const child = Bun.spawn(commandLine([...whole, "-o", "tuned-broken"]), {
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe", cwd: home, env: environment() },
    });
    let [err, sent] = ["", false];
    for await (const chunk of child.stderr) {
      err += new TextDecoder().decode(chunk);
      if (sent || !err.includes("step 10 of")) continue;
      child.kill("SIGINT");
      sent = true;
    }
    expect(await child.exited).toBe(130);
    expect(err).toContain("to go on: lola finetune --resume tuned-broken\n");
    const resumed = await lola(["finetune", "--resume", "tuned-broken", "--json"]);
    expect(JSON.parse(resumed.out)).toMatchObject({ end: "done", method: "lora", before: { step: 0 } });
    expect(resumed.err).not.toContain("the run began on");
    for (const name of ["metrics.jsonl", "checkpoints/last.lola", "checkpoints/best.lola"])
      expect(fileOf("tuned-broken", name).equals(fileOf("tuned", name))).toBe(true);
  });

  test.each(["lora", "full"])("on the GPU engine (%s): begun, used, gone on with by itself", async (method) => {
    const gpu = ["-m", "to-tune.lola", "--device", "software", "--method", method];
    const few = ["--tokens", "128", "--batch", "1", "--context", "32", "--validate-every", "2", "--windows", "1"];
    const run = `gpu-${method}`;
    const ran = await lola(["finetune", "rows.jsonl", ...gpu, ...few, "-o", run, "--json", "-q"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    const { before, last } = JSON.parse(ran.out);
    expect(last.bits_per_byte).toBeLessThan(before.bits_per_byte);
    const resumed = await lola(["finetune", "--resume", run, "--json", "-q"]);
    expect(JSON.parse(resumed.out)).toMatchObject({ end: "done", step: 4 });
    const used = method === "lora" ? ["--adapter", run, "-m", "to-tune.lola"] : ["-m", run];
    expect(await lola(["generate", "Say", ...used, "-n", "2", "--device", "cpu"])).toMatchObject({ code: 0 });
  });

  test("of piped examples can be resumed, and tells all that happens", async () => {
    const stdin = readFileSync(join(home, "rows.jsonl"), "utf8");
    const ran = await lola(["finetune", "-", ...engine, ...short, "-o", "tuned-piped", "--jsonl", "-q"], { stdin });
    expect(ran).toMatchObject({ code: 0, err: "" });
    const told = events(ran.out);
    expect(told[0]).toMatchObject({ event: "start", data: { files: [{ label: "stdin", kind: "completion" }] } });
    expect(told[1]).toMatchObject({ event: "validation", step: 0 });
    expect(told.at(-1)).toMatchObject({ event: "end", end: "done" });
    expect(await lola(["finetune", "--resume", "tuned-piped", "-q"])).toMatchObject({ code: 0 });
  });

  test("--only-experts auto tells which, and leaves a model", async () => {
    const ran = await lola([...whole, "-o", "tuned-experts", "--only-experts", "auto"]);
    expect(ran.code).toBe(0);
    expect(ran.err).toMatch(/\n +experts +of the tokens +which\nlayer 1 +[12] of 2 +\d+\.\d\d % +[01]/);
    expect(ran.err).toMatch(/\nmethod +experts: the weights of [12] of them, all else frozen\n/);
    const used = await lola(["generate", "Say", "-m", "tuned-experts", "-n", "2", "--device", "cpu", "--json"]);
    expect(used.code).toBe(0);
    expect(JSON.parse(used.out).samples[0].ids).toHaveLength(2);
  });
});

describe("memory", () => {
  const plan = async (...more: string[]) => {
    const ran = await lola(["finetune", "alpaca.json", ...engine, "--batch", "8", "--dry-run", "--json", ...more]);
    return { ...ran, ...(ran.code === 0 && JSON.parse(ran.out)) };
  };

  test("--budget picks fewer rows at a time, then computes again", async () => {
    const { config, memory, steps } = await plan();
    expect(config.shape).toMatchObject({ batch: 8, recompute: false });
    const tight = await plan("--budget", String(memory.total - 1));
    expect(tight.config.shape.batch).toBeLessThan(8);
    expect(tight.config.shape.batch * tight.config.accumulate).toBe(8);
    expect([tight.memory.total < memory.total, tight.steps]).toEqual([true, steps]);
    const one = await plan("--micro-batch", "1");
    const again = await plan("--budget", String(one.memory.total - 1));
    expect(again.config.shape).toMatchObject({ recompute: true });
  });

  test("what fits in no way is refused with the numbers and what would", async () => {
    const { code, err } = await plan("--budget", "1MB");
    expect(code).toBe(4);
    expect(err).toMatch(/^lola: this run needs [\d.]+ MB of memory at least, .*; 1\.00 MB are left\ntry: \S.*\n$/);
    const least = await plan("--method", "full", "--micro-batch", "1", "--recompute");
    const nearly = await plan("--method", "full", "--budget", String(least.memory.total - 1));
    expect(nearly).toMatchObject({ code: 4, out: "" });
    const [, hint] = /\ntry: (--.*)\n$/.exec(nearly.err)!;
    const fits = await plan("--method", "full", ...hint!.split(" "), "--budget", String(least.memory.total - 1));
    expect(fits.code).toBe(0);
  });
});

describe("misuse", () => {
  test.each([
    [["rows.jsonl", "-m", "to-tune.lola"], 2, "missing -o RUN, the folder to make"],
    [["-m", "to-tune.lola", "-o", "x"], 2, "missing the examples to learn from"],
    [["none.jsonl", ...engine, "-o", "x"], 2, "none.jsonl: no such file or folder"],
    [["rows.jsonl", ...engine, "-o", "tuned"], 2, "tuned holds a training run already\ntry: lola finetune --resume"],
    [["rows.jsonl", ...engine, "-o", "x", "--targets", "atention"], 2, 'got "atention"\ntry: --targets attention'],
    [["rows.jsonl", ...engine, "-o", "x", "--method", "full", "--rank", "4"], 2, "--rank has no meaning"],
    [["rows.jsonl", ...engine, "-o", "x", "--method", "full", "--only-experts", "auto"], 2, "--method full trains all"],
    [["rows.jsonl", ...engine, "-o", "x", "--only-experts", "most"], 2, 'expected auto, or percent as 80%, got "most"'],
    [
      ["rows.jsonl", ...engine, "-o", "x", "--method", "lora", "--only-experts", "auto", "--targets", "attention"],
      2,
      "--targets attention has no experts",
    ],
    [["rows.jsonl", ...engine, "-o", "x", "--optimizer", "muon"], 2, "adapters have adamw"],
    [["rows.jsonl", ...engine, "-o", "x", "--epochs", "2", "--tokens", "9k"], 2, "two lengths"],
    [["rows.jsonl", ...engine, "-o", "x", "--batch", "4", "--micro-batch", "3"], 2, "does not divide"],
    [["rows.jsonl", ...engine, "-o", "x", "--context", "513"], 2, "the model has 512 positions"],
    [["alpaca.json", ...engine, "-o", "x", "--context", "64"], 3, "longer than the context of 64 tokens"],
    [["rows.jsonl", ...engine, "-o", "x", "--json", "--jsonl"], 2, "two forms of output"],
    [["--resume", "tuned", "-o", "x"], 2, "--resume goes on in its own folder"],
    [["--resume", "tuned", "--rank", "3"], 2, "--rank 3 contradicts the run's 16"],
    [["--resume", "tuned", "--targets", "all"], 2, "--targets is settled when a run begins"],
    [["--resume", "tuned", "-m", "not-tuned.lola"], 3, "tuned adapts "],
    [["--resume", "tuned", "alpaca.json"], 3, ""],
    [["--resume", "nowhere"], 2, "nowhere holds no training run"],
  ] as [string[], number, string][])("%j ends with %i", async (args, code, why) => {
    const ran = await lola(["finetune", ...args]);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.err).toContain(why);
    expect(ran.err).not.toContain("    at ");
  });

  test("runs of lola train and of lola finetune are each resumed by their own", async () => {
    const ran = await lola(["train", "--resume", "tuned"]);
    expect(ran).toEqual({
      code: 2,
      out: "",
      err: "lola: tuned holds a run of lola finetune\ntry: lola finetune --resume tuned\n",
    });
  });
});

describe("in a terminal", () => {
  test("it asks for what is missing and tells the command", async () => {
    const ran = await onTerminal(
      ["finetune", "-m", "to-tune.lola", "--device", "cpu", "--batch", "1", "--context", "64", "-o", "tuned-asked"],
      [
        (shown) => (shown.includes("holds the examples?") ? "rows.jsonl\r" : undefined),
        (shown) => (shown.includes("to be adapted?") ? "\r" : undefined),
        (shown) => (shown.includes("to be seen?") ? "\r" : undefined),
      ],
    );
    expect(ran.code).toBe(0);
    expect(ran.shown).toContain("of memory or more");
    expect(ran.shown.replace(/\s+/g, " ")).toContain("-o tuned-asked rows.jsonl --method lora --epochs 3");
    expect(ran.shown).toMatch(/\rstep \d+\/\d+ {2}\d+ % {2}loss \d/);
  });
});
