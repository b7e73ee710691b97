/** `lola quantize` as a command: what it writes, measures, refuses and asks. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderReport } from "../../src/cli/quantize-report.ts";
import { commandLine, environment, home, lola, onTerminal, root } from "./lola.ts";

/** Trained on the Declaration in ten languages. */
const model = join(root, "../shared/fixtures/udhr-lola");
const engine = ["--device", "cpu", "--threads", "1"];
const some = ["--eval", "udhr:eng,swa", "--eval-bytes", "400"];

const folder = mkdtempSync(join(home, "quantize-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const quantize = (name: string, ...more: string[]) =>
  lola(["quantize", model, "-o", at(name), ...engine, "--json", ...more]);

/** What --json prints. */
interface Told {
  path: string;
  identity: string;
  file_bytes: number;
  before: number;
  after: number;
  types: string[];
  kinds: Record<string, { nmse: number }>;
  measured: {
    same_best: number;
    routing: { layer: number; same: number }[];
    languages: { language: string; before: number; after: number; change: number }[];
  };
}

describe("a model in 4 bits", () => {
  let told: Told;
  beforeAll(async () => {
    const ran = await quantize("q4.lola", "--type", "q4", "--group", "32", ...some, "--report", at("q4.html"));
    expect(ran).toMatchObject({ code: 0, err: "" });
    told = JSON.parse(ran.out);
  });

  test("has the sizes that are told, and is itself a model", async () => {
    const { path, file_bytes, before, after, types, kinds, identity } = told;
    expect(readFileSync(path)).toHaveLength(file_bytes);
    expect(after).toBeLessThan(0.36 * before);
    expect(types).toEqual([
      "experts as q4_32",
      ...["dense as q4_32 (4) and q8_32 (2)", "attention as q4_32 (10) and q8_32 (2)"],
      "embedding as q8_32",
    ]);
    for (const { nmse } of Object.values(kinds)) {
      expect(nmse).toBeGreaterThan(0);
      expect(nmse).toBeLessThan(0.01);
    }
    const shown = await lola(["models", "show", path]);
    expect(shown.out).toContain("embedding as q8_32");
    expect(shown.out).toContain(identity);
    expect((await lola(["models", "verify", path])).code).toBe(0);
  });

  test("is measured by language, with routing and next tokens", () => {
    const { measured } = told;
    expect(measured).toMatchObject({ text: "udhr:eng,swa", bytes: 800 });
    expect(measured.languages.map(({ language }) => language)).toEqual(["eng", "swa"]);
    for (const { before, after, change } of measured.languages) {
      // It knows this text by heart; 4 bits cost something of that, not all.
      expect(before).toBeLessThan(1);
      expect(change).toBeCloseTo(after / before - 1, 12);
      expect(Math.abs(change)).toBeGreaterThan(0.001);
      expect(Math.abs(change)).toBeLessThan(0.5);
    }
    expect(measured.routing.map(({ layer }) => layer)).toEqual([1, 3, 5]);
    for (const share of [measured.same_best, ...measured.routing.map(({ same }) => same)]) {
      expect(share).toBeGreaterThan(0.8);
      expect(share).toBeLessThanOrEqual(1);
    }
  });

  test("has a page with a pair of bars for each language, which needs nothing else", () => {
    const page = readFileSync(at("q4.html"), "utf8");
    expect(page.match(/class="bar before"/g)).toHaveLength(2);
    expect(page.match(/class="bar after"/g)).toHaveLength(2);
    expect(page).toContain('<th scope="row">swa</th>');
    expect(page).not.toMatch(/https?:|src=|<link/);
  });

  test("is the same file each time, and is not replaced unasked", async () => {
    const before = readFileSync(at("q4.lola"));
    const again = ["--type", "q4", "--group", "32", "--eval", "none"];
    expect(await quantize("q4.lola", ...again)).toMatchObject({ code: 2, out: "" });
    const ran = await quantize("q4.lola", ...again, "--force");
    expect(JSON.parse(ran.out).measured).toBeNull();
    expect(readFileSync(at("q4.lola")).equals(before)).toBe(true);
  });
});

test("--max-loss writes nothing that is worse in a language, and says where", async () => {
  const ran = await quantize("lossy.lola", "--type", "q4", ...some, "--max-loss", "0.01%");
  expect(ran).toMatchObject({ code: 1, out: "" });
  expect(ran.err).toMatch(/languages would take over 0\.01 % more bits: (eng|swa) \d/);
  expect(readdirSync(folder).filter((name) => name.includes("lossy"))).toEqual([]);
  expect((await quantize("fine.lola", ...some, "--max-loss", "90%")).code).toBe(0);
  expect(existsSync(at("fine.lola"))).toBe(true);
});

test("a budget is kept; one that is too small is refused with the smallest that is possible", async () => {
  const ran = await quantize("small.lola", "--budget", "3.5MB", "--eval", "none");
  expect(ran.code).toBe(0);
  expect(readFileSync(at("small.lola")).length).toBeLessThanOrEqual(3.5e6);
  expect(JSON.parse(ran.out).types[0]).toMatch(/^experts as q4_64 \(\d+\) and q8_64 \(\d+\)$/);
  const refused = await quantize("tiny.lola", "--budget", "1MB", "--eval", "none");
  expect(refused).toMatchObject({ code: 2, out: "" });
  expect(refused.err).toContain("try: --budget ");
});

test("kinds are chosen one by one, and texts of one's own measured", async () => {
  writeFileSync(at("swa.txt"), "Watu wote wamezaliwa huru.\n\nHadhi na haki zao ni sawa.\n");
  const kinds = ["--experts", "q4", "--dense", "f32", "--embedding", "f16", "--gate", "f32"];
  const ran = await quantize(
    "mixture.lola",
    ...kinds,
    "--eval",
    at("swa.txt"),
    "--eval",
    "udhr:eng",
    "--eval-bytes",
    "100",
  );
  const { types, measured } = JSON.parse(ran.out);
  expect(types).toEqual(["experts as q4_64", "dense as f32", "attention as q8_64", "embedding as f16"]);
  expect(measured.languages.map((l: { language: string }) => l.language)).toEqual(["eng", "swa"]);
});

test("calibration changes codes, and names experts that saw too few tokens", async () => {
  writeFileSync(at("eng.txt"), "All human beings are born free and equal in dignity and rights.\n");
  await quantize("plain.lola", "--type", "q4", "--eval", "none");
  const ran = await quantize("calibrated.lola", "--type", "q4", "--eval", "none", "--calibrate", at("eng.txt"));
  const { calibration } = JSON.parse(ran.out);
  expect(calibration.tokens).toBeGreaterThan(5);
  expect(calibration.few).toContain("h.5.moe.experts.7");
  // So few tokens say too little of how inputs go together.
  expect(calibration.compensated).toBe(0);
  expect(calibration.short).toContain("h.0.attn.c_attn.weight");
  expect(calibration.large).toEqual([]);
  const [before, after] = ["plain.lola", "calibrated.lola"].map((name) => readFileSync(at(name)));
  expect(before!.equals(after!)).toBe(false);
  expect(await quantize("x.lola", "--calibrate", "udhr")).toMatchObject({ code: 2, out: "" });
});

test("what contradicts itself is misuse", async () => {
  for (const [args, why] of [
    [["--budget", "3MB", "--type", "q4"], "--budget chooses the types itself"],
    [["--budget", "3MB", "--experts", "q4"], "--experts says otherwise"],
    [["--eval", "none", "--max-loss", "2%"], "--eval none and --max-loss"],
    [["--eval", "none", "--eval", "udhr"], "--eval none and other texts"],
    [["--eval", "udhr:eng,xxx"], '"xxx"'],
    [["--gate", "q8"], "--gate: expected one of f32"],
    [["--group", "48"], "--group: expected one of 32, 64, 128"],
    [["--eval", at("nothing.txt")], "no such file"],
  ] as [string[], string][]) {
    const ran = await quantize("misuse.lola", ...args);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain(why);
  }
  expect(existsSync(at("misuse.lola"))).toBe(false);
});

test("Ctrl-C before the file is accepted leaves nothing behind", async () => {
  const place = mkdtempSync(join(folder, "stopped-"));
  const args = ["quantize", model, "-o", join(place, "x.lola"), ...engine, "--eval", "udhr", "--max-loss", "90%"];
  const child = Bun.spawn(commandLine(args), { env: environment(), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  while (readdirSync(place).length === 0 && child.exitCode === null) await Bun.sleep(10);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(readdirSync(place)).toEqual([]);
});

describe("in a terminal", () => {
  test("it asks how small, with sizes and what they cost", async () => {
    const asked = (shown: string) => (shown.includes("another size") ? "\x03" : undefined);
    const ran = await onTerminal(["quantize", model, ...engine], asked);
    expect(ran.code).toBe(130);
    expect(ran.shown).toMatch(/q8 +fits in 0\.00\d+ GiB; \+\d\.\d\d %, at worst/);
    // Nothing is known of other types.
    const own = await onTerminal(["quantize", model, "--experts", "f16", ...engine], (shown) =>
      shown.includes("q4  ") ? "\x03" : undefined,
    );
    expect(own.shown).toContain("mixed  fits in 0.");
    expect(own.shown).not.toMatch(/at worst|another size/);
  });

  test("a size of one's own is a budget", async () => {
    const path = at("budget.lola");
    const when = (question: string, keys: string) => (shown: string) => (shown.includes(question) ? keys : undefined);
    const ran = await onTerminal(
      ["quantize", model, "--eval", "none", ...engine],
      [when("another size", "\x1b[A\r"), when("Which size", "3.5MB\r"), when("Which file", `${path}\r`)],
    );
    expect(ran.code).toBe(0);
    expect(ran.shown.replace(/\s+/g, " ")).toContain("--budget 3.5MB -o");
    expect(readFileSync(path).length).toBeLessThanOrEqual(3.5e6);
  });

  test("it asks where to, does the work and tells the command line that does without", async () => {
    const args = ["quantize", model, "--type", "q8", "--eval", "none", "--force", ...engine];
    const path = at("asked.lola");
    const ran = await onTerminal(args, (shown) => (shown.includes("Which file") ? `${path}\r` : undefined));
    expect(ran.code).toBe(0);
    expect(ran.shown).toContain("same as: lola quantize ");
    expect(existsSync(path)).toBe(true);
  });
});

test("names from a file cannot break the page", () => {
  const cost = { language: "<b>", bytes: 1, tokens: 1, before: 2, after: 1, change: -0.5 };
  const measured = {
    text: "a&b",
    languages: [cost],
    bytes: 1,
    tokens: 1,
    meanChange: -0.5,
    worst: cost,
    sameBest: 1,
    routing: [],
  };
  const page = renderReport({
    ...{
      model: "<script>",
      path: "x",
      identity: "0",
      fileBytes: 1,
      before: 2,
      after: 1,
      kinds: {},
      types: [],
      worst: null,
    },
    ...{ device: { kind: "cpu", name: "<u>" }, seconds: 1, calibration: null, measured, report: null },
  });
  expect(page).not.toMatch(/<b>|<u>|a&b|: <script>/);
  expect(page).toContain("−50.00 %");
});
