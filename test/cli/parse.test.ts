/** The parser: every trap of the library below it, and what users mistype. */
import { describe, expect, test } from "bun:test";
import { LolaError } from "../../src/base/errors.ts";
import { nearest } from "../../src/base/nearest.ts";
import { parse, splitVerb } from "../../src/cli/parse.ts";
import { type Command, defineCommand } from "../../src/cli/table.ts";

const command: Command = defineCommand({
  name: "try",
  summary: "for tests",
  examples: [],
  args: [{ name: "text", doc: "text", many: true }],
  flags: {
    prompt: { type: "text", value: "TEXT", short: "p", doc: "text" },
    stop: { type: "list", value: "TEXT", doc: "text" },
    temperature: { type: "float", value: "T", min: -5, max: 5, doc: "number" },
    maxTokens: { type: "integer", value: "N", short: "n", min: 0, doc: "number" },
    size: { type: "count", value: "N", min: 2, doc: "many" },
    budget: { type: "size", value: "SIZE", doc: "bytes" },
    loss: { type: "percent", value: "PERCENT", doc: "share" },
    seed: { type: "seed", value: "S", doc: "64 bits" },
    device: { type: "choice", value: "D", choices: ["auto", "cpu"], doc: "engine" },
    greedy: { type: "flag", short: "g", doc: "switch" },
    stream: { type: "negated", doc: "switch" },
  },
  async run() {
    return undefined;
  },
});

const given = (...words: string[]) => parse(command, words).given;
const args = (...words: string[]) => parse(command, words).args;

function misuse(...words: string[]): LolaError {
  try {
    parse(command, words);
  } catch (error) {
    if (error instanceof LolaError && error.kind === "usage") return error;
    throw error;
  }
  throw new Error(`accepted: ${words.join(" ")}`);
}

describe("text stays as typed", () => {
  test.each(["007", "1e5", "0x10", "", " ", "true", "false", "-5 degrees", "-1", "--", "ไทย", "@0", "a=b", "null"])(
    "%j",
    (text) => {
      expect(given(`--prompt=${text}`)).toEqual({ prompt: text });
      expect(args("--", text)).toEqual([text]);
      if (text !== "--") expect(given("--prompt", text)).toEqual({ prompt: text });
      if (!text.startsWith("-")) expect(args(text)).toEqual([text]);
    },
  );

  test("arguments after a switch are neither swallowed nor coerced", () => {
    const parsed = parse(command, ["--greedy", "007", "-g", "true", "--no-stream", "1e5"]);
    expect(parsed.args).toEqual(["007", "true", "1e5"]);
    expect(parsed.given).toEqual({ greedy: true, stream: false });
  });

  test("names that are special to JavaScript are text like any other", () => {
    expect(args("__proto__", "constructor")).toEqual(["__proto__", "constructor"]);
    expect(misuse("--__proto__", "x").message).toContain("--__proto__");
    expect(misuse("--constructor.prototype=x").message).toContain("unknown flag");
  });
});

describe("values", () => {
  test("a list keeps every value in order, empty ones too", () => {
    expect(given("--stop", "a", "--stop=", "--stop", "007")).toEqual({ stop: ["a", "", "007"] });
  });

  test("the last of a repeated flag wins", () => {
    expect(given("-n", "1", "-n", "2")).toEqual({ maxTokens: 2 });
  });

  test("seeds are exact to 64 bits", () => {
    expect(given("--seed", "12345678901234567890")).toEqual({ seed: 12345678901234567890n });
    expect(given("--seed=0xffffffffffffffff")).toEqual({ seed: 0xffffffffffffffffn });
    expect(given("--seed", "00123")).toEqual({ seed: 123n });
    for (const bad of ["18446744073709551616", "-1", "1.5", "1e3", ""])
      expect(misuse(`--seed=${bad}`).message).toContain("--seed");
  });

  test("numbers may be negative and must be numbers", () => {
    expect(given("--temperature", "-1")).toEqual({ temperature: -1 });
    expect(given("--temperature=-1")).toEqual({ temperature: -1 });
    expect(given("--temperature", ".5")).toEqual({ temperature: 0.5 });
    for (const bad of ["", "abc", "1,5", "NaN", "Infinity", "6", "0x1"]) misuse(`--temperature=${bad}`);
    for (const bad of ["1.5", "1e3", "-1", "", "99999999999999999999"]) misuse(`--max-tokens=${bad}`);
  });

  test("sizes are decimal or binary, and shares are in percent", () => {
    const sizes = {
      "4GiB": 2 ** 32,
      "4Gi": 2 ** 32,
      "500MB": 5e8,
      "2.5G": 2.5e9,
      "64KiB": 65536,
      "1kB": 1000,
      "7": 7,
      "9B": 9,
    };
    for (const [text, budget] of Object.entries(sizes)) expect(given("--budget", text)).toEqual({ budget });
    for (const bad of ["", "0", "4iB", "4 GiB", "-1G", "4GiBs", "G"])
      expect(misuse(`--budget=${bad}`).message).toContain("4GiB");
    const shares = { "2%": 0.02, "0.5": 0.005, "100%": 1, "0": 0 };
    for (const [text, loss] of Object.entries(shares)) expect(given("--loss", text)).toEqual({ loss });
    for (const bad of ["", "%", "-1%", "2 per cent"])
      expect(misuse(`--loss=${bad}`).message).toContain("percent, as 2%");
  });

  test("counts may be written short, and must be whole", () => {
    const counts = { "2": 2, "1500": 1500, "20M": 2e7, "2.5G": 2.5e9, "1.001k": 1001, "0.3T": 3e11 };
    for (const [text, size] of Object.entries(counts)) expect(given("--size", text)).toEqual({ size });
    for (const bad of ["", "1", "M", "1.5", "1e6", "-5", "20m", "20 M", "1.0001k", "99999T"]) misuse(`--size=${bad}`);
  });

  test("short flags: separate, attached, with =, in a row", () => {
    for (const words of [["-n", "5"], ["-n5"], ["-n=5"]]) expect(given(...words)).toEqual({ maxTokens: 5 });
    expect(given("-gn5")).toEqual({ greedy: true, maxTokens: 5 });
    expect(given("-p-5 degrees")).toEqual({ prompt: "-5 degrees" });
  });

  test("a choice names what there is, and the nearest", () => {
    expect(given("--device", "cpu")).toEqual({ device: "cpu" });
    const error = misuse("--device", "cup");
    expect(error.message).toContain("auto, cpu");
    expect(error.hint).toBe("--device cpu");
  });
});

describe("misuse", () => {
  test("an unknown flag: the nearest one, or help", () => {
    expect(misuse("--max-tokns", "5").hint).toBe("lola try --max-tokens");
    expect(misuse("--temp", "1").hint).toBe("lola try --temperature");
    expect(misuse("--zzzzzz").hint).toBe("lola try --help");
    expect(misuse("-x").message).toBe("unknown flag -x of lola try");
  });

  test("text that begins with - is shown the way", () => {
    expect(misuse("-5 degrees").hint).toBe('lola try -- "-5 degrees"');
  });

  test("a flag in place of a value is a forgotten value", () => {
    expect(misuse("--prompt", "--greedy").message).toContain("found the flag --greedy");
    expect(misuse("--prompt", "-n", "5").message).toContain("needs a value");
    expect(misuse("--prompt").message).toContain("needs a value (TEXT)");
    expect(given("--prompt=--greedy")).toEqual({ prompt: "--greedy" });
  });

  test("a switch takes no value", () => {
    expect(misuse("--greedy=yes").message).toContain("takes no value");
  });

  test("too many arguments", () => {
    const one: Command = { ...command, args: [{ name: "dir", doc: "folder" }] };
    expect(() => parse(one, ["a", "b"])).toThrow("takes one argument, got 2");
  });

  test("actions are checked", () => {
    const acting: Command = { ...command, actions: { list: "a", show: "b" } };
    expect(parse(acting, ["show", "x"])).toMatchObject({ action: "show", args: ["x"] });
    expect(() => parse(acting, ["lsit"])).toThrow('no action "lsit"');
    expect(() => parse(acting, [])).toThrow("needs an action: list, show");
    expect(parse({ ...acting, usual: "list" }, [])).toMatchObject({ action: "list", args: [] });
  });
});

test("flags may stand before the verb", () => {
  expect(splitVerb(["--debug", "-q", "generate", "-n", "5"])).toEqual({
    verb: "generate",
    flags: ["--debug", "-q"],
    rest: ["-n", "5"],
  });
  expect(splitVerb(["--version"])).toEqual({ verb: undefined, flags: ["--version"], rest: [] });
});

test("the nearest name", () => {
  const names = ["generate", "import", "export", "models"];
  expect(nearest("genrate", names)).toBe("generate");
  expect(nearest("gen", names)).toBe("generate");
  expect(nearest("exprot", names)).toBe("export");
  expect(nearest("quantize", names)).toBeUndefined();
});
