/** In a terminal: questions where a choice is missing, news on stderr, and none of it when it is not wanted. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { environment, lola, onTerminal, root } from "./lola.ts";

const model = join(root, "../shared/fixtures/tiny-lola");
const stored = join(environment().LOLA_HOME!, "models/tiny-lola.lola");
const generate = ["generate", "All", "-m", model, "--device", "reference", "-n", "3", "--seed", "5"];

describe("questions", () => {
  const asked = "Which folder holds the model?";

  test("import asks for the folder, does the work, and tells the command line that does without", async () => {
    const ran = await onTerminal(["import", "--force"], (shown) => (shown.includes(asked) ? `${model}\r` : undefined));
    expect(ran.code).toBe(0);
    expect(ran.shown).toContain("same as: lola import --force ");
    expect(existsSync(stored)).toBe(true);
  });

  test("Ctrl-C at a question ends it with 130", async () => {
    const ran = await onTerminal(["import"], (shown) => (shown.includes(asked) ? "\x03" : undefined));
    expect(ran.code).toBe(130);
    expect(ran.shown).not.toContain("lola: ");
  });

  test("rm offers the stored models", async () => {
    await lola(["import", model, "--force"]);
    const ran = await onTerminal(["models", "rm"], (shown) => (shown.includes("removed?") ? "\r" : undefined));
    expect(ran.code).toBe(0);
    expect(ran.shown).toContain("same as: lola models rm tiny-lola");
    expect(existsSync(stored)).toBe(false);
  });

  test.each([
    [["import", "--no-input"], {}],
    [["import"], { CI: "true" }],
    [["generate"], {}],
  ] as [string[], Record<string, string>][])("%j with %j does not ask: exit 2", async (args, env) => {
    const ran = await onTerminal(args, undefined, env);
    expect(ran.code).toBe(2);
    expect(ran.shown).toContain("try: ");
    expect(ran.shown).not.toContain("?");
  });
});

describe("news", () => {
  test("engine and seed are told, --quiet keeps only the text", async () => {
    const piped = await lola(generate);
    const told = await onTerminal(generate);
    expect(told.shown).toContain("reference: ");
    expect(told.shown).toContain("seed 5");
    const quiet = await onTerminal([...generate, "-q"]);
    expect(quiet).toEqual({ code: 0, shown: piped.out.replaceAll("\n", "\r\n") });
  });

  test("no escape code with NO_COLOR, CI or a dumb terminal", async () => {
    for (const env of [{ NO_COLOR: "1" }, { CI: "1" }, { TERM: "dumb" }]) {
      for (const args of [generate, ["--help"], ["nonsense"]]) {
        expect((await onTerminal(args, undefined, env)).shown).not.toContain("\x1b");
      }
    }
  });
});
