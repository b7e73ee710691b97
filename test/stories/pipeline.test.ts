/** The binary in shell pipelines: what reaches which stream, which code it ends with, what a signal leaves behind. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { embeddedModel } from "../../src/base/embedded.ts";
import { binary, lola, onTerminal, patience, scratch, shell } from "./binary.ts";

setDefaultTimeout(patience);
beforeAll(() => binary());

const esc = "\x1b";
const prompt = "All human beings";
const greedy = ["generate", prompt, "--greedy", "-n", "12"];

describe("streams", () => {
  test("the result alone is on stdout, and stderr is empty", async () => {
    using place = scratch();
    const ran = await shell(
      `"$LOLA" generate "${prompt}" --greedy -n 12 > f 2> e; code=$?; cat f; cat e >&2; exit $code`,
      {
        cwd: place.folder,
      },
    );
    expect(ran.code).toBe(0);
    expect(ran.err).toBe("");
    expect(ran.out.trim().length).toBeGreaterThan(0);
    expect(ran.out).not.toContain(esc);
  });

  test("stdin is a prompt like an argument", async () => {
    const [argument, piped, dash] = await Promise.all([
      lola(greedy),
      lola(["generate", "--greedy", "-n", "12"], { stdin: `${prompt}\n` }),
      lola(["generate", "-", "--greedy", "-n", "12"], { stdin: `${prompt}\n` }),
    ]);
    expect(argument.code).toBe(0);
    expect(piped).toEqual(argument);
    expect(dash).toEqual(argument);
  });

  test("a reader that goes away ends it quietly with 0", async () => {
    for (const reader of ["head -c 1", "head -1"]) {
      const ran = await shell(
        `"$LOLA" generate "${prompt}" --seed 7 -n 200 | ${reader}; echo "code \${PIPESTATUS[0]}"`,
      );
      expect(ran.out).toEndWith("code 0\n");
      expect(ran.err).toBe("");
    }
    const events = await shell(`"$LOLA" generate "${prompt}" --jsonl -n 200 | head -1; echo "code \${PIPESTATUS[0]}"`);
    expect(events.out).toEndWith("code 0\n");
    expect(JSON.parse(events.out.split("\n")[0]!)).toBeObject();
  });

  test("--json prints one object", async () => {
    const ran = await lola([...greedy, "--json"]);
    expect(ran.code).toBe(0);
    const { samples } = JSON.parse(ran.out);
    expect(samples).toHaveLength(1);
    expect(samples[0].ids).toHaveLength(12);
    expect(samples[0].finish_reason).toBe("length");
    expect((await lola(greedy)).out.trim()).toBe(samples[0].text.trim());
  });

  test("--jsonl prints an object a line", async () => {
    const ran = await lola([...greedy, "--jsonl"]);
    const events = ran.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.filter(({ event }) => event === "token")).toHaveLength(12);
    expect(events.filter((event) => event.finish_reason === "length")).toHaveLength(1);
  });
});

describe("misuse", () => {
  test.each([
    [["generate", "x", "--temprature", "1"], "--temperature"],
    [["genrate", "x"], "generate"],
    [["generate", "x", "--device", "gpuu"], "gpu"],
  ])("%j ends with 2 and names the nearest", async (args, nearest) => {
    const ran = await lola(args);
    expect(ran.code).toBe(2);
    expect(ran.out).toBe("");
    expect(ran.err).toContain(nearest);
    expect(ran.err).not.toContain("    at ");
  });

  test("without a prompt and without a terminal it ends with 2 and does not wait", async () => {
    const ran = await lola(["generate"]);
    expect(ran.code).toBe(2);
    expect(ran.out).toBe("");
    expect(ran.err).toStartWith("lola: ");
  });

  test("a missing file is named in one line", async () => {
    for (const args of [
      ["generate", "x", "-m", "none/such.lola"],
      ["generate", "-f", "none/such.txt"],
    ]) {
      const ran = await lola(args);
      expect(ran.code).toBe(2);
      expect(ran.err.split("\n")[0]).toMatch(/^lola: .*none\/such/);
    }
  });
});

describe("bad model files", () => {
  const good = embeddedModel()!.bytes;
  const flipped = Uint8Array.from(good);
  flipped[good.length - 300]! ^= 1;
  const later = Uint8Array.from(good);
  later[4]! ^= 0xff;
  test.each([
    ["one flipped bit", flipped],
    ["another version or magic", later],
    ["cut short", good.subarray(0, good.length - 1000)],
    ["the header alone", good.subarray(0, 100)],
    ["empty", new Uint8Array()],
    ["something else", new TextEncoder().encode("not a model at all\n".repeat(50))],
  ])("%s: exit 3, one line, no trace", async (_, bytes) => {
    using place = scratch();
    writeFileSync(join(place.folder, "bad.lola"), bytes);
    const ran = await lola(["generate", "x", "-n", "1", "-m", "bad.lola"], { cwd: place.folder });
    expect(ran.code).toBe(3);
    expect(ran.out).toBe("");
    expect(ran.err.split("\n")[0]).toMatch(/^lola: .*bad\.lola/);
    expect(ran.err).not.toContain("    at ");
  });
});

describe("terminals", () => {
  const colour = new RegExp(`${esc}\\[[0-9;]*m`);

  test("an error is coloured there, but not with NO_COLOR", async () => {
    const plain = await onTerminal(["genrate"], { NO_COLOR: "1" });
    expect(plain.code).toBe(2);
    expect(plain.text).not.toMatch(colour);
    expect((await onTerminal(["genrate"])).text).toMatch(colour);
  });

  test("what the model writes is the same there, and no colour comes with NO_COLOR", async () => {
    const piped = await lola(greedy);
    const { code, text } = await onTerminal(greedy, { NO_COLOR: "1" });
    expect(code).toBe(0);
    expect(text).not.toMatch(colour);
    expect(text.replaceAll("\r\n", "\n")).toContain(piped.out.trimEnd());
  });
});

describe("signals", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it with %i, and what was written stays", async (signal, code) => {
    using place = scratch();
    const args = ["generate", prompt, "--seed", "7", "--samples", "100000"];
    const child = Bun.spawn([await binary(), ...args], {
      cwd: place.folder,
      env: { HOME: place.home },
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = decoder.decode((await reader.read()).value, { stream: true });
    child.kill(signal);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      text += decoder.decode(next.value, { stream: true });
    }
    expect(await child.exited).toBe(code);
    expect(text.length).toBeGreaterThan(0);
    const whole = await lola(["generate", prompt, "--seed", "7", "-n", "40"]);
    const shared = Math.min(text.length, whole.out.trimEnd().length);
    expect(text.slice(0, shared)).toBe(whole.out.slice(0, shared));
  });
});
