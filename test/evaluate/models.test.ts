/** What a changed model costs: by language, on text cut to equal lengths. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveLola } from "../../src/checkpoint/lola-file.ts";
import { openDevice } from "../../src/device/choose.ts";
import { beginnings } from "../../src/evaluate/held-out.ts";
import { compareModels } from "../../src/evaluate/models.ts";
import { loadModel, openSource } from "../../src/model/open.ts";
import { randomWeights } from "../../src/model/random.ts";
import { dummyTokenizer } from "../../src/tokenizer/layout.ts";
import { tinyConfig } from "../model/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-models-"));
const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => {
  device.close();
  rmSync(folder, { recursive: true });
});

/** A random model in a file; `gate` changes that of its mixture. */
async function model(name: string, gate?: (values: Float32Array) => void) {
  const path = join(folder, `${name}.lola`);
  const weights = randomWeights(tinyConfig, () => "f32");
  const tensors = Array.from(weights.tensors.values(), ({ name, type, shape }) => {
    const bytes = Buffer.concat(Array.from(weights.read(name), (piece) => Buffer.from(piece)));
    const content = new Uint8Array(bytes);
    if (name === "h.1.moe.gate.weight") gate?.(new Float32Array(content.buffer));
    return { name, type, shape, pieces: [content] };
  });
  const provenance = { made: "test", from: "test", version: "0", notes: [] };
  await saveLola(path, { config: tinyConfig, tokenizer: dummyTokenizer(301), provenance, tensors });
  return loadModel(device, openSource(path));
}

test("texts are cut to equal lengths, at whole characters, by language", async () => {
  const documents = [
    { language: "swa", text: "Habari ya asubuhi" },
    { language: "rus", text: "добро" },
    { language: "swa", text: "na jioni" },
    { language: "eng", text: "" },
  ];
  expect(await beginnings(documents, 22)).toEqual([
    { language: "rus", text: "добро" },
    { language: "swa", text: "Habari ya asubuhi\nna j" },
  ]);
  expect(await beginnings(documents, 5)).toEqual([
    { language: "rus", text: "до" },
    { language: "swa", text: "Habar" },
  ]);
});

test("a model costs nothing against itself; with its experts exchanged, something in each language", async () => {
  const texts = [
    { language: "eng", text: "All human beings are born free and equal in dignity and rights." },
    { language: "rus", text: "Все люди рождаются свободными" },
  ];
  const first = await model("first");
  const seen: string[] = [];
  const alike = await compareModels([first, await model("second")], texts, {
    progress: (done, all, language) => seen.push(`${done}/${all} ${language}`),
  });
  expect(seen).toEqual(["0/2 eng", "1/2 rus"]);
  // The tokenizer reads bytes.
  const bytes = texts.map(({ text }) => Buffer.byteLength(text));
  expect(alike).toMatchObject({
    bytes: bytes[0]! + bytes[1]!,
    tokens: bytes[0]! + bytes[1]!,
    meanChange: 0,
    sameBest: 1,
  });
  expect(alike.routing).toEqual([{ layer: 1, same: 1 }]);
  for (const { before, after } of alike.languages) {
    expect(after).toBe(before);
    // Weights without training know nothing: log2 301 bits a byte, about.
    expect(Math.abs(before - Math.log2(301))).toBeLessThan(0.5);
  }

  const turned = await model("turned", (gate) => gate.reverse());
  const apart = await compareModels([first, turned], texts);
  expect(apart.routing[0]!.same).toBeLessThan(1);
  expect(apart.sameBest).toBeLessThan(1);
  const [eng, rus] = apart.languages;
  expect(apart.meanChange).toBeCloseTo((eng!.change + rus!.change) / 2, 12);
  expect(eng!.change).toBeCloseTo(eng!.after / eng!.before - 1, 12);
  expect(apart.worst).toEqual(eng!.change > rus!.change ? eng! : rus!);
});

test("it stops when it is told to", async () => {
  const one = await model("first");
  const controller = new AbortController();
  const texts = ["eng", "rus"].map((language) => ({ language, text: "x" }));
  const progress = () => controller.abort();
  await expect(compareModels([one, one], texts, { signal: controller.signal, progress })).rejects.toMatchObject({
    name: "AbortError",
  });
});
