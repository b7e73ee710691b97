/** What every command promises, shown for every command of the table: help, misuse, JSON, pipes, no questions. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commands } from "../../src/cli/commands/index.ts";
import { commandHelp, overview } from "../../src/cli/help.ts";
import { manPage } from "../../src/cli/man.ts";
import { commandList } from "../../src/cli/markdown.ts";
import { plain } from "../../src/cli/style.ts";
import { type Command, flagsOf, longName, takesValue } from "../../src/cli/table.ts";
import { topics } from "../../src/cli/topics.ts";
import { savedAdapter } from "./adapter.ts";
import { commandLine, environment, home, lola, root } from "./lola.ts";

const model = join(root, "../shared/fixtures/tiny-lola");

/** A short run of each command that succeeds, where one is needed to show the contract. */
const runs: Record<string, string[]> = {
  generate: ["generate", "x", "-m", model, "--device", "reference", "-n", "3", "--seed", "5"],
  import: ["import", model, "-o", join(home, "contract.lola"), "--force"],
  quantize: [
    ...["quantize", model, "-o", join(home, "contract-q8.lola"), "--force", "--device", "reference"],
    ...["--eval", "udhr:eng", "--eval-bytes", "30"],
  ],
  merge: [
    ...["merge", "--adapter", await savedAdapter("contract-adapter.lola"), "--device", "reference"],
    ...["-o", join(home, "contract-merged.lola"), "--force"],
  ],
  eval: [
    ...["eval", "text", join(root, "README.md"), "--limit", "1", "-m", model],
    ...["--device", "reference", "--ctx", "16"],
  ],
  specialize: [
    ...["specialize", "-m", model, "--lang", "und", "--texts", join(root, "LICENSE"), "--device", "reference"],
    ...["-o", join(home, "contract-small.lola"), "--force", "--eval", "udhr:eng", "--eval-bytes", "30"],
  ],
  routing: [
    ...["routing", "collect", join(root, "LICENSE"), "-m", model, "--device", "reference"],
    ...["-o", join(home, "contract-routing"), "--force"],
  ],
  models: ["models", "list"],
  tokenizer: ["tokenizer", "encode", "-m", model, "All human beings"],
  doctor: ["doctor"],
  bench: ["bench", "tokenizer", "-m", model, "-f", join(root, "README.md"), "--rounds", "2"],
};

/** A model of a few hundred numbers, trained for two steps; quietly, since it tells in pipes too how far it is. */
const training = [
  ...[
    "train",
    join(root, "README.md"),
    "-q",
    "--device",
    "reference",
    "--width",
    "8",
    "--layers",
    "2",
    "--experts",
    "2",
  ],
  ...["--vocabulary", "300", "--context", "8", "--batch", "2", "--tokens", "32"],
];

/** The same for two rows of it. */
const tuning = [
  ...["finetune", join(root, "README.md"), "-m", model, "-q", "--device", "reference", "--too-long", "split"],
  ...["--context", "8", "--batch", "1", "--tokens", "16", "--validation", "0", "--targets", "attention", "--rank", "1"],
];

/** A folder that is not there yet, for each run of a command that makes one. */
let folders = 0;
const newFolder = () => join(home, `contract-${folders++}`);
const lineOf = (name: string) => {
  if (name === "export") return ["export", model, "-o", newFolder()];
  const makes = { train: training, finetune: tuning }[name];
  return makes ? [...makes, "-o", newFolder()] : runs[name]!;
};

/** Only in need of the network, which tests of `src/checkpoint` stand in for. */
const offline = commands.filter((c) => c.name !== "pull");

/** As typed: the command with an action that needs no further choice. */
const words = (command: Command) =>
  command.actions ? [command.name, Object.keys(command.actions)[0]!] : [command.name];

const widest = (text: string) => Math.max(...text.split("\n").map((line) => Bun.stringWidth(line)));

describe.each(commands.map((c) => [c.name, c] as const))("lola %s", (name, command) => {
  test("--help exits 0, within 80 columns, examples first", async () => {
    const ran = await lola([name, "--help"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toBe(commandHelp(command, plain));
    expect(ran.out.indexOf("Examples")).toBeLessThan(ran.out.indexOf("Usage"));
    expect(widest(ran.out)).toBeLessThanOrEqual(80);
    for (const [key, flag] of Object.entries(flagsOf(command))) expect(ran.out).toContain(longName(key, flag));
  });

  test("an unknown flag exits 2 and names the nearest", async () => {
    const ran = await lola([...words(command), "--hepl"]);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toBe(`lola: unknown flag --hepl of lola ${name}\ntry: lola ${name} --help\n`);
  });

  test("its flags are well formed", () => {
    const flags = Object.entries(flagsOf(command));
    const shorts = flags.flatMap(([, flag]) => flag.short ?? []);
    expect(new Set(shorts).size).toBe(shorts.length);
    for (const [, flag] of flags) {
      expect(flag.doc).not.toEndWith(".");
      if (flag.type === "choice" && flag.default !== undefined) expect(flag.choices).toContain(flag.default);
    }
    for (const example of command.examples) expect(example.line).toContain(`lola ${name}`);
  });

  test("stands in the overview, the man page and every completion", async () => {
    expect(overview(commands, plain)).toContain(`  ${name} `);
    const page = manPage(commands);
    for (const [key, flag] of Object.entries(command.flags)) {
      expect(page).toContain(longName(key, flag).replaceAll("-", "\\-"));
    }
    for (const shell of ["bash", "zsh", "fish"]) {
      const { out } = await lola(["completion", shell]);
      expect(out).toContain(name);
      for (const [key, flag] of Object.entries(command.flags)) expect(out).toContain(longName(key, flag).slice(2));
    }
  });
});

describe.each(offline.filter((c) => c.show).map((c) => [c.name, c] as const))("lola %s", (name) => {
  test("--json prints one object and nothing else", async () => {
    const ran = await lola([...lineOf(name), "--json"]);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(ran.out)).toBeObject();
    expect(ran.out).not.toContain("\x1b");
  });

  test("prints no escape codes into a pipe, and nothing on stderr", async () => {
    const ran = await lola(lineOf(name));
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).not.toContain("\x1b");
    expect(ran.out).toEndWith("\n");
  });

  test("a reader that is gone ends it with 0 and silence", async () => {
    const ran = Bun.spawnSync(
      [
        "bash",
        "-c",
        'exec 3>&1; { sleep 0.05; "$@" 2>&3; echo "code $?" >&3; } | :',
        "-",
        ...commandLine(lineOf(name)),
      ],
      {
        env: environment(),
        stdin: "ignore",
      },
    );
    expect(ran.stdout.toString()).toBe("code 0\n");
  });
});

test("commands with missing choices do not ask without a terminal: exit 2 at once", async () => {
  for (const args of [
    ["import"],
    ["pull"],
    ["export"],
    ["models", "rm"],
    ["generate"],
    ["merge"],
    ["chat"],
    ["completion"],
    ["tokenizer"],
    ["quantize"],
    ["quantize", model],
    ["train"],
    ["train", "README.md"],
  ]) {
    const ran = await lola(args);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toMatch(/^lola: .+\ntry: .+\n$/);
  }
});

test("an unknown command exits 2 and names the nearest", async () => {
  expect(await lola(["genrate", "x"])).toEqual({
    code: 2,
    out: "",
    err: 'lola: unknown command "genrate"\ntry: lola generate\n',
  });
  expect(await lola(["tokenise"])).toMatchObject({
    code: 2,
    err: 'lola: unknown command "tokenise"\ntry: lola tokenizer\n',
  });
  expect(await lola(["models", "shwo"])).toMatchObject({ code: 2, out: "" });
  expect(await lola([])).toMatchObject({ code: 2, out: "" });
});

test("--version and --help work without a command", async () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(await lola(["--version"])).toEqual({ code: 0, out: `lola ${version}\n`, err: "" });
  const ran = await lola(["-h"]);
  expect(ran).toMatchObject({ code: 0, out: overview(commands, plain) });
  expect(widest(ran.out)).toBeLessThanOrEqual(80);
});

test("every topic is explained within 80 columns", async () => {
  for (const topic of topics) {
    const ran = await lola(["help", topic.name]);
    expect(ran).toEqual({ code: 0, out: `${topic.text}\n`, err: "" });
    expect(widest(ran.out)).toBeLessThanOrEqual(80);
  }
  expect(await lola(["help", "exit-code"])).toMatchObject({ code: 2, out: "" });
});

test("a stack trace comes with --debug only", async () => {
  const args = ["generate", "x", "-m", "none.lola"];
  expect((await lola(args)).err).not.toContain("    at ");
  expect((await lola([...args, "--debug"])).err).toContain("    at ");
});

test("the README lists the commands as they are", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, listed] = readme.split(/<!-- \/?commands.*-->\n/);
  expect(listed?.trim(), "replace it with: lola help --markdown").toBe(commandList(commands).trim());
});

test("every flag with a value names it in capitals", () => {
  for (const command of commands) {
    for (const flag of Object.values(command.flags)) if (takesValue(flag)) expect(flag.value).toMatch(/^[A-Z0-9]+$/);
  }
});

test("the bash completion completes commands, actions, flags and values", async () => {
  const { out: script } = await lola(["completion", "bash"]);
  const complete = (...line: string[]) => {
    const ran = Bun.spawnSync(
      [
        Bun.which("bash")!,
        "-c",
        `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lola; printf '%s\\n' "\${COMPREPLY[@]}"`,
        "-",
        "lola",
        ...line,
      ],
      { env: { PATH: "/nowhere" } },
    );
    return ran.stdout.toString().trim().split("\n");
  };
  expect(complete("gen")).toEqual(["generate"]);
  expect(complete("models", "ver")).toEqual(["verify"]);
  expect(complete("generate", "--max")).toEqual(["--max-tokens"]);
  expect(complete("generate", "--device", "so")).toEqual(["software"]);
  expect(complete("help", "exit")).toEqual(["exit-codes"]);
});

test("completion scripts for zsh and fish are valid where those shells are", async () => {
  for (const shell of ["bash", "zsh", "fish"] as const) {
    const { out } = await lola(["completion", shell]);
    expect(out.split("\n").filter((l) => l.includes("generate")).length).toBeGreaterThan(0);
    const path = Bun.which(shell);
    if (!path) continue;
    const checked = Bun.spawnSync([path, "-n"], { stdin: new TextEncoder().encode(out) });
    expect(checked.stderr.toString()).toBe("");
  }
});
