/** What reaches a terminal, what JSON looks like, and who may be asked. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { isInteractive } from "../../src/cli/interactive.ts";
import { toJson } from "../../src/cli/streams.ts";
import { bytes, grouped, neutralise, table, wantsColour } from "../../src/cli/style.ts";
import { commandLine, environment, home, lola, root } from "./lola.ts";

test("a model's control characters cannot reach a terminal", () => {
  expect(neutralise("\x1b]0;title\x07\x1b[2J\r\x9b31m\x7f")).toBe("␛]0;title␇␛[2J␍\ufffd31m␡");
  const harmless = "tab\tline\n ไทย 👩‍👩‍👧‍👦 \u200f";
  expect(neutralise(harmless)).toBe(harmless);
  for (let code = 0; code < 0xa0; code++) {
    const shown = neutralise(String.fromCharCode(code));
    if (code !== 9 && code !== 10)
      expect(shown.charCodeAt(0)).not.toBeLessThan(code < 0x20 || code >= 0x7f ? 0x20 : code);
    expect(/^[\t\n\x20-\x7e\u2400-\u2421\ufffd]$/.test(shown)).toBe(true);
  }
});

describe("colour", () => {
  test.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { NO_COLOR: "" }, true],
    [true, { TERM: "dumb" }, false],
    [true, { CI: "true" }, false],
    [false, { FORCE_COLOR: "1" }, true],
    [true, { FORCE_COLOR: "0" }, false],
    [true, { NO_COLOR: "1", FORCE_COLOR: "1" }, false],
  ])("terminal %p, %j: %p", (terminal, env, expected) => {
    expect(wantsColour(terminal, env)).toBe(expected);
  });
});

test("questions need both ends of a terminal, no CI, and no --no-input", () => {
  const both = { stdin: true, stderr: true };
  expect(isInteractive(true, {}, both)).toBe(true);
  expect(isInteractive(false, {}, both)).toBe(false);
  expect(isInteractive(true, { CI: "1" }, both)).toBe(false);
  expect(isInteractive(true, {}, { stdin: false, stderr: true })).toBe(false);
  expect(isInteractive(true, {}, { stdin: true, stderr: false })).toBe(false);
});

test("what cannot be read or written is named, with the reason", async () => {
  const full = Bun.spawnSync([...commandLine(["--help"])], {
    stdout: Bun.file("/dev/full"),
    stderr: "pipe",
    env: environment(),
  });
  expect(full.exitCode).toBe(1);
  expect(full.stderr.toString()).toBe("lola: cannot write to stdout: no space left on the device\n");
  for (const [path, reason] of [
    [home, "is a folder"],
    [join(home, "none.txt"), "no such file or folder"],
    [join(root, "package.json", "x"), "is not a folder"],
  ]) {
    const ran = await lola(["generate", "-f", path!]);
    expect(ran).toEqual({ code: 2, out: "", err: `lola: ${path}: ${reason}\ntry: -f FILE, or - for stdin\n` });
  }
  const latin = join(home, "latin1.txt");
  await Bun.write(latin, new Uint8Array([0x66, 0xfc, 0x72]));
  expect(await lola(["generate", "-f", latin])).toMatchObject({
    code: 2,
    err: expect.stringContaining("is not UTF-8"),
  });
});

test("JSON: snake_case keys, exact 64-bit integers", () => {
  expect(toJson({ finishReason: "eos", topK: [{ minP: 1 }], seed: 12345678901234567890n, "largest binding": 2 })).toBe(
    '{"finish_reason":"eos","top_k":[{"min_p":1}],"seed":"12345678901234567890","largest binding":2}',
  );
});

test("tables and numbers", () => {
  expect(
    table([
      ["a", 1],
      ["long", 1000],
      ["日本", 5],
    ]),
  ).toBe("a        1\nlong  1000\n日本     5");
  expect([grouped(7459827712), grouped(999), bytes(0), bytes(999), bytes(19_700_000)]).toEqual([
    "7,459,827,712",
    "999",
    "0 B",
    "999 B",
    "19.7 MB",
  ]);
});
