/** `lola generate` from prompt to stream: where prompts come from, what is written, how it ends. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { fitPrompt, parseIds } from "../../src/cli/prompt.ts";
import { commandLine, environment, lola, type RunOptions, root } from "./lola.ts";

const folder = join(root, "../shared/fixtures/udhr-lola");
const engine = ["-m", folder, "--device", "cpu", "--threads", "1"];
const generate = (args: string[], options?: RunOptions) => lola(["generate", ...engine, ...args], options);
const json = async (args: string[], options?: RunOptions) =>
  JSON.parse((await generate(["--json", ...args], options)).out);

const greedy = ["--greedy", "-n", "6"];

describe("the prompt", () => {
  const ids = async (args: string[], options?: RunOptions): Promise<number[]> =>
    (await json(["-n", "0", ...args], options)).prompt.ids;

  test("argument, stdin, - and file are the same prompt; the last line end is not part of it", async () => {
    const expected = await ids(["All human beings"]);
    const path = join(environment().HOME!, "prompt.txt");
    await Bun.write(path, "All human beings\n");
    expect(await ids(["All", "human", "beings"])).toEqual(expected);
    expect(await ids([], { stdin: "All human beings\n" })).toEqual(expected);
    expect(await ids(["-"], { stdin: "All human beings" })).toEqual(expected);
    expect(await ids(["-f", path])).toEqual(expected);
    expect(await ids(["-f", "-"], { stdin: "All human beings\r\n" })).toEqual(expected);
    expect(await ids(["--prompt-ids", expected.join(",")])).toEqual(expected);
  });

  test("ids, file, stdin and arguments are joined in this order", async () => {
    const joined = await ids(["born"], { stdin: "All human beings are\n" });
    expect(joined).toEqual(await ids(["All human beings are born"]));
    expect(await ids(["beings", "--prompt-ids", "[7, 12]"])).toEqual([7, 12, ...(await ids(["beings"]))]);
  });

  test("an empty argument starts a new document; no prompt at all is misuse", async () => {
    expect((await json(["", ...greedy])).samples[0].ids).toHaveLength(6);
    for (const options of [{}, { stdin: "" }]) expect(await generate([], options)).toMatchObject({ code: 2, out: "" });
  });

  test("text that looks like numbers or flags stays text", async () => {
    for (const text of ["007", "1e5", "-5 degrees"]) {
      expect(await ids(["--", text])).toEqual(await ids([], { stdin: text }));
    }
  });

  test("too long: exit 2 with both numbers; cut only when asked", async () => {
    const stdin = "human rights ".repeat(400);
    const refused = await generate(["-n", "10"], { stdin });
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toMatch(/prompt has \d{3,} tokens, the model's context holds 256/);
    expect(refused.err).toContain("--truncate head");
    const all = Array.from({ length: 300 }, (_, i) => i);
    const fit = (truncate: "head" | "tail") => fitPrompt(all, { context: 256, maxTokens: 10, truncate });
    expect(fit("head")).toEqual(all.slice(54));
    expect(fit("tail")).toEqual(all.slice(0, 246));
    expect(fitPrompt(all, { context: 301, maxTokens: 10, truncate: undefined })).toEqual(all);
    const cut = await generate(["-n", "1", "--truncate", "head"], { stdin });
    expect(cut.code).toBe(0);
    expect(cut.err).toContain("prompt cut from");
  });

  test("ids are read in any usual form", () => {
    for (const text of ["12,7,93", "[12, 7, 93]", "12\n7\n93\n", " 12 7 93 "])
      expect(parseIds(text)).toEqual([12, 7, 93]);
    for (const text of ["1.5", "-1", "x", "1,,y"]) expect(() => parseIds(text)).toThrow("is no token id");
    expect(parseIds("")).toEqual([]);
  });
});

describe("the text", () => {
  test("streamed or not, as text, --json and --jsonl: the same", async () => {
    const [streamed, whole, object, lines] = await Promise.all([
      generate(["All human beings", ...greedy]),
      generate(["All human beings", ...greedy, "--no-stream"]),
      json(["All human beings", ...greedy]),
      generate(["All human beings", ...greedy, "--jsonl"]),
    ]);
    expect(whole).toEqual(streamed);
    expect(streamed.out).toBe(`${object.samples[0].text}\n`);
    const events = lines.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.map((e) => e.event)).toEqual(["start", ...Array(6).fill("token"), "sample", "end"]);
    const tokens = events.filter((e) => e.event === "token");
    expect(tokens.map((e) => e.text).join("")).toBe(object.samples[0].text);
    expect(tokens.map((e) => e.id)).toEqual(object.samples[0].ids);
    for (const token of tokens) expect(token.experts).toHaveLength(3);
  });

  test("--json tells what is needed to make the text again", async () => {
    const first = await json(["Tous les", "-n", "8"]);
    expect(first.model.name).toBe(folder);
    expect(first.seed).toMatch(/^\d+$/);
    const again = await json(["Tous les", "-n", "8", "--seed", first.seed]);
    expect(again.samples).toEqual(first.samples);
    const { samples } = await json(["Tous les", "-n", "8", "--seed", first.seed, "--samples", "2"]);
    expect(samples[0]).toEqual(first.samples[0]);
    expect(samples[1].ids).not.toEqual(samples[0].ids);
  });

  test("--echo puts the prompt before it, --stop ends it, and why it ended is told", async () => {
    const plain = (await json(["All human beings", ...greedy])).samples[0];
    expect(plain.finish_reason).toBe("length");
    expect((await generate(["All human beings", ...greedy, "--echo"])).out).toBe(`All human beings${plain.text}\n`);
    const stop = plain.text.slice(3, 6);
    const stopped = (await json(["All human beings", "--greedy", "-n", "40", "--stop", stop])).samples[0];
    expect(stopped.finish_reason).toBe("stop");
    expect(stopped.text).toBe(plain.text.slice(0, plain.text.indexOf(stop)));
  });

  test("--logprobs without a form that can tell them is refused", async () => {
    const { code, err } = await generate(["x", "--logprobs", "3"]);
    expect(code).toBe(2);
    expect(err).toContain("--jsonl");
  });

  test("--logprobs tells the best tokens at each step, the chosen one first when greedy", async () => {
    const { logprobs, ids, logprob } = (await json(["All human beings", ...greedy, "--logprobs", "3"])).samples[0];
    expect(logprobs.map((t: { id: number }) => t.id)).toEqual(ids);
    let sum = 0;
    for (const token of logprobs) {
      expect(token.top).toHaveLength(3);
      expect(token.top[0].id).toBe(token.id);
      expect(token.top[0].logprob).toBeCloseTo(token.logprob, 4);
      sum += token.logprob;
    }
    expect(logprob).toBeCloseTo(sum, 6);
  });

  test("samples are set apart by an empty line", async () => {
    const one = (await generate(["All human beings", ...greedy])).out;
    expect((await generate(["All human beings", ...greedy, "--samples", "2"])).out).toBe(`${one}\n${one}`);
  });
});

test("a pipe that stays silent is waited for, and that is told", async () => {
  const child = Bun.spawn(commandLine(["generate", "x", ...engine, "-n", "1"]), {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: environment(),
  });
  const first = await child.stderr.getReader().read();
  expect(new TextDecoder().decode(first.value)).toBe(
    "lola: waiting for stdin; < /dev/null if there is nothing to read\n",
  );
  child.stdin.end();
  expect(await child.exited).toBe(0);
});

test("flags that contradict each other are misuse", async () => {
  for (const args of [
    ["--greedy", "--temperature", "0.5"],
    ["--json", "--jsonl"],
  ]) {
    expect(await generate(["x", ...args])).toMatchObject({ code: 2, out: "" });
  }
});

describe("interrupted", () => {
  /** Starts an endless run, waits for its first output, and lets `then` act on it. */
  async function started(then: (child: Bun.Subprocess<"ignore", "pipe", "pipe">, first: string) => void) {
    const args = ["generate", "All human beings", ...engine, "--seed", "7", "--samples", "1000"];
    const child = Bun.spawn(commandLine(args), { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: environment() });
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let out = decoder.decode((await reader.read()).value, { stream: true });
    then(child, out);
    for (let part = await reader.read(); !part.done; part = await reader.read())
      out += decoder.decode(part.value, { stream: true });
    return { code: await child.exited, out, err: await child.stderr.text() };
  }

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it with %i; what was written stays, nothing is said", async (signal, code) => {
    const ran = await started((child) => child.kill(signal));
    expect(ran).toMatchObject({ code, err: "" });
    const whole = await generate(["All human beings", "--seed", "7", "-n", "60"]);
    const shared = Math.min(ran.out.length, whole.out.length - 1);
    expect(shared).toBeGreaterThan(0);
    expect(ran.out.slice(0, shared)).toBe(whole.out.slice(0, shared));
  });

  test("a reader that leaves ends it with 0 within a token", async () => {
    const command = commandLine(["generate", "All human beings", ...engine, "--seed", "7", "--samples", "1000"]);
    const ran = Bun.spawnSync(
      ["bash", "-c", 'exec 3>&1; { "$@" 2>&3; echo "code $?" >&3; } | head -c 1 >&2', "-", ...command],
      {
        env: environment(),
        stdin: "ignore",
        timeout: 20_000,
      },
    );
    expect(ran.stdout.toString()).toBe("code 0\n");
    expect(ran.stderr.toString()).toHaveLength(1);
  });
});

test("a cache in f16 changes no greedy text, one in q8 only what is nearly a tie", async () => {
  const texts = async (cache: string) => {
    const prompts = ["All human beings are born", "Tous les êtres humains"];
    const results = await Promise.all(
      prompts.map((prompt) => json([prompt, "--greedy", "-n", "40", "--cache", cache])),
    );
    return results.map(({ samples }) => samples[0].ids as number[]);
  };
  const [f32, f16, q8] = [await texts("f32"), await texts("f16"), await texts("q8")];
  expect(f16).toEqual(f32);
  for (const [i, ids] of q8.entries()) expect(ids.slice(0, 6)).toEqual(f32[i]!.slice(0, 6));
  expect((await generate(["--cache", "q4", "a"])).code).toBe(2);
});
