/** `lola specialize` as a command: what it writes, measures and refuses. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keptExperts } from "../../src/cli/specialize-ask.ts";
import { home, lola, root } from "./lola.ts";

/** Trained on the Declaration in ten languages; 8 experts a layer. */
const model = join(root, "../shared/fixtures/udhr-lola");
const engine = ["--device", "cpu", "--threads", "1"];
const some = ["--eval", "udhr:eng,swa", "--eval-bytes", "600"];

const folder = mkdtempSync(join(home, "specialize-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const specialize = (name: string, ...more: string[]) =>
  lola(["specialize", "-m", model, "-o", at(name), ...engine, ...more]);

test("--keep is a number or a share, of which at least one stays and not all", () => {
  expect([keptExperts("4", 16), keptExperts("25%", 16), keptExperts("1%", 16), keptExperts("37.5%", 8)]).toEqual([
    4, 4, 1, 3,
  ]);
  for (const raw of ["0", "16", "100%", "2.5", "many", "", "0%", "-3"])
    expect(() => keptExperts(raw, 16)).toThrow("1 to 15 can stay");
});

describe("a model for Swahili", () => {
  interface Told {
    path: string;
    identity: string;
    keep: number;
    experts: number;
    file_bytes: number;
    layers: { layer: number; kept: number[]; covered: number; error: number }[];
    measured: { text: string; languages: { language: string; before: number; after: number; change: number }[] };
  }
  let told: Told;
  beforeAll(async () => {
    const ran = await specialize("swa.lola", "--lang", "swa", ...some, "--json");
    expect(ran).toMatchObject({ code: 0, err: "" });
    told = JSON.parse(ran.out);
  });

  test("has a quarter of the experts, and is a model like any other", async () => {
    expect(told).toMatchObject({ keep: 2, experts: 8 });
    expect(told.layers.map(({ layer, kept }) => [layer, kept.length])).toEqual([
      [1, 2],
      [3, 2],
      [5, 2],
    ]);
    expect(readFileSync(at("swa.lola"))).toHaveLength(told.file_bytes);
    expect((await lola(["models", "verify", at("swa.lola")])).code).toBe(0);
    const shown = await lola(["models", "show", at("swa.lola"), "--json"]);
    expect(JSON.parse(shown.out).model).toMatchObject({ identity: told.identity, config: { experts: 2 } });
    const said = await lola(["generate", "-m", at("swa.lola"), "Kila mtu", "--max-tokens", "5", ...engine]);
    expect(said.code).toBe(0);
    expect(said.out.length).toBeGreaterThan(8);
  });

  test("is measured on the lines that it was not chosen by, in its language and others", () => {
    const { text, languages } = told.measured;
    expect(text).toBe("udhr:eng,swa, second half of its lines");
    expect(languages.map(({ language }) => language)).toEqual(["eng", "swa"]);
    const [eng, swa] = languages;
    expect(Math.abs(swa!.change)).toBeLessThan(eng!.change);
    for (const { before, after, change } of languages) expect(change).toBeCloseTo(after / before - 1, 12);
  });

  test("is the same file each time, and is not replaced unasked", async () => {
    const before = readFileSync(at("swa.lola"));
    expect(await specialize("swa.lola", "--lang", "swa", "--eval", "none")).toMatchObject({ code: 2, out: "" });
    const ran = await specialize("swa.lola", "--lang", "swa", "--eval", "none", "--force");
    expect(ran.out).toContain("what it cost was not measured");
    expect(readFileSync(at("swa.lola")).equals(before)).toBe(true);
  });
});

test("a quantized model stays quantized, what is not fitted in the same words", async () => {
  const q4 = at("q4.lola");
  expect((await lola(["quantize", model, "--type", "q4", "-o", q4, "--eval", "none", ...engine])).code).toBe(0);
  const ran = await lola([
    "specialize",
    "-m",
    q4,
    "--lang",
    "eng",
    "-o",
    at("small.lola"),
    ...some,
    ...engine,
    "--json",
  ]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  const { layers, types, measured } = JSON.parse(ran.out);
  expect(types).toContain("experts as q4_64");
  // It knew this text by heart: little more is much of it.
  expect(measured.languages[0].change).toBeLessThan(1);
  const { openSource } = await import("../../src/model/open.ts");
  const [before, after] = [openSource(q4), openSource(at("small.lola"))];
  const words = (source: typeof before, name: string) =>
    Buffer.concat(Array.from(source.read(name), (piece) => Buffer.from(piece)));
  const [, old] = layers[0].kept;
  const same = (now: string, was: string) => words(after, now).equals(words(before, was));
  expect(same("h.1.moe.experts.1.c_fc.weight", `h.1.moe.experts.${old}.c_fc.weight`)).toBe(true);
  expect(same("h.1.moe.experts.1.c_proj.weight", `h.1.moe.experts.${old}.c_proj.weight`)).toBe(false);
  before.close();
  after.close();
});

test("texts of one's own choose the experts", async () => {
  writeFileSync(at("lin.txt"), "Bato nyonso babotami na bonsomi, bakokani na limemya. ".repeat(8));
  const ran = await specialize(
    "lin.lola",
    "--lang",
    "lin",
    "--texts",
    at("lin.txt"),
    "--eval",
    at("lin.txt"),
    "--json",
  );
  const { chosen_by, measured } = JSON.parse(ran.out);
  expect(chosen_by).toBe(at("lin.txt"));
  expect(measured.languages.map((l: { language: string }) => l.language)).toEqual(["lin"]);
});

test("--max-loss writes nothing that is worse in the language", async () => {
  // Two texts that have nothing in common.
  writeFileSync(at("eng.txt"), "0 1 2 3 4 5 6 7 8 9 ".repeat(20));
  const more = [
    "--texts",
    at("eng.txt"),
    "--eval",
    "udhr:eng",
    "--eval-bytes",
    "600",
    "--keep",
    "1",
    "--max-loss",
    "1%",
  ];
  const ran = await specialize("worse.lola", "--lang", "eng", ...more);
  expect(ran).toMatchObject({ code: 1, out: "" });
  expect(ran.err).toMatch(/over 1\.00 % more bits per byte: eng \+\d.*nothing was written/);
  expect(readdirSync(folder).filter((name) => name.includes("worse"))).toEqual([]);
});

test("what cannot be done is refused in a line", async () => {
  expect(await specialize("x.lola")).toMatchObject({ code: 2, err: expect.stringContaining("missing --lang") });
  const unknown = await specialize("x.lola", "--lang", "xyz");
  expect(unknown).toMatchObject({ code: 2, out: "" });
  expect(unknown.err).toContain('the Declaration has nothing in "xyz"');
  expect((await specialize("x.lola", "--lang", "swa,")).err).toContain("names no language");
  const kept = await specialize("x.lola", "--lang", "swa", "--keep", "8");
  expect(kept).toMatchObject({ code: 2, err: expect.stringContaining("of the 8 experts of a layer, 1 to 7 can stay") });
  const both = await specialize("x.lola", "--lang", "swa", "--eval", "none", "--max-loss", "3%");
  expect(both).toMatchObject({ code: 2, err: expect.stringContaining("contradict") });
});
