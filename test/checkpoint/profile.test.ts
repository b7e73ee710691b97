/** Routing profiles: what is saved is read again, other conversions keep it, and models are the same with and without. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { importModel } from "../../src/checkpoint/import.ts";
import { lolaBytes, openLola, saveLola } from "../../src/checkpoint/lola-file.ts";
import { type RoutingProfile, sharesOf } from "../../src/checkpoint/profile.ts";
import { tensorBytes } from "../../src/checkpoint/tensor.ts";
import { tinyConfig, tinyTensors, tinyTokenizer } from "./tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "lola-profile-"));
afterAll(() => rmSync(folder, { recursive: true }));

const provenance = { made: "test", from: "test", version: "0", notes: [] };
const routing: RoutingProfile = new Map([
  ["swa", [[70_000, 1]]],
  ["cmn_hans", [[0, 12]]],
]);
const template = { name: "mine", chat: { opening: "", system: "{system}\n", turn: "Q: {user}\nA:" } };
const meta = { config: tinyConfig, tokenizer: tinyTokenizer, provenance, routing, template };

test("a saved profile is read again, by language in order, a template as it was, and import keeps both", async () => {
  const paths = [join(folder, "with.lola"), join(folder, "again.lola")] as const;
  await saveLola(paths[0], { ...meta, tensors: tinyTensors() }, { store: "raw" });
  await importModel(openLola(fileBytes(paths[0])), paths[1], { type: "f16" });
  for (const path of paths) {
    const model = openLola(fileBytes(path));
    expect([...model.routing!]).toEqual([...routing].reverse());
    expect(model.template).toEqual(template);
    expect(model.notes).toEqual([]);
    model.close();
  }
});

test("its bytes are planned, its model is the same", async () => {
  const identity = await saveLola(join(folder, "a.lola"), { ...meta, tensors: tinyTensors() }, { store: "raw" });
  const { routing: _, template: __, ...bare } = meta;
  expect(await saveLola(join(folder, "b.lola"), { ...bare, tensors: tinyTensors() })).toBe(identity);
  const infos = Array.from(tinyTensors(), ({ name, type, shape }) => ({
    ...{ name, type, shape },
    bytes: tensorBytes(name, type, shape),
  }));
  expect(lolaBytes(meta, infos)).toBe(statSync(join(folder, "a.lola")).size);
});

test("shares of each layer add up to 1", () => {
  expect([
    ...sharesOf([
      [3, 1],
      [0, 4],
    ]),
  ]).toEqual([0.75, 0.25, 0, 1]);
});
