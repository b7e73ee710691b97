/** Models by name: where they are found, listed, described, removed. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LolaError } from "../../src/base/errors.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import { expectedTensors, parameterCounts, tensorCount } from "../../src/checkpoint/layout.ts";
import { openLola } from "../../src/checkpoint/lola-file.ts";
import {
  describeModel,
  hubFolder,
  listModels,
  modelPath,
  namedFile,
  removeModel,
} from "../../src/checkpoint/models.ts";
import { openModel } from "../../src/checkpoint/open.ts";
import { parseTokenizer, publish } from "./published.ts";
import { tinyConfig, tinyFile } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-models-"));
afterAll(() => rmSync(root, { recursive: true }));
const folder = join(root, "models");
mkdirSync(folder);
writeFileSync(join(folder, "good.lola"), await tinyFile());
writeFileSync(join(folder, "broken.lola"), "no model");
writeFileSync(join(folder, ".good.lola.host.1-0.tmp"), "");
publish(hubFolder("owner/name", folder));
const outside = join(root, "outside.lola");
writeFileSync(outside, await tinyFile());

const lola: ModelConfig = {
  family: "lola_v1",
  vocabulary: 100_096,
  context: 2048,
  width: 2048,
  layers: 24,
  heads: 16,
  inner: 8192,
  experts: 16,
  normEpsilon: 1e-5,
  bos: 0,
  eos: 5,
  pad: 1,
};

test("LOLA v1 has the tensors and parameters of spec §1.3 and §1.6", () => {
  expect(tensorCount(lola)).toBe(1024);
  expect(expectedTensors(lola).size).toBe(1024);
  expect(parameterCounts(lola)).toEqual({ total: 7_459_827_712, active: 1_418_186_752 });
});

test("counts agree with the list of tensors, for odd shapes too", () => {
  for (const change of [{}, { layers: 1 }, { layers: 5, experts: 5, heads: 3, width: 9, inner: 7 }]) {
    const config = { ...tinyConfig, ...change };
    const shapes = [...expectedTensors(config).values()];
    expect(tensorCount(config)).toBe(shapes.length);
    expect(parameterCounts(config).total).toBe(shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b), 0));
  }
});

test("a name is a path if it exists, has a separator or ends in .lola; else it is looked up", () => {
  expect(modelPath("good", folder)).toBe(join(folder, "good.lola"));
  expect(modelPath("good.lola", folder)).toBe("good.lola");
  expect(modelPath("./x", folder)).toBe("./x");
  expect(modelPath(outside, folder)).toBe(outside);
  expect(modelPath("owner/name", folder)).toBe(hubFolder("owner/name", folder));
  expect(modelPath("owner/other", folder)).toBe("owner/other");
  for (const name of ["", ".hidden", "a b", "a\0b"]) expect(() => modelPath(name, folder)).toThrow(LolaError);
  for (const name of ["name", "a/b/c", "../name", "a/..", "/etc"])
    expect(() => hubFolder(name, folder)).toThrow(LolaError);
  expect(() => namedFile("../x", folder)).toThrow(LolaError);
});

test("the list tells what can be read and what is wrong with the rest", () => {
  const models = listModels(folder);
  expect(models.map(({ name, kind }) => [name, kind])).toEqual([
    ["broken", "file"],
    ["good", "file"],
    ["owner/name", "folder"],
  ]);
  expect(models[0]!.problem).toContain("broken.lola");
  expect(models[1]).toMatchObject({ config: tinyConfig, identity: openModel(outside, parseTokenizer).identity });
  expect(models[2]!.bytes).toBeGreaterThan(1000);
  expect(listModels(join(root, "nowhere"))).toEqual([]);
});

test("a description has everything that show prints", () => {
  for (const path of [outside, hubFolder("owner/name", folder)]) {
    const model = openModel(path, parseTokenizer);
    const description = describeModel(model);
    expect(description).toMatchObject({
      config: tinyConfig,
      parameters: parameterCounts(tinyConfig),
      identity: model.identity,
    });
    expect(description.tensors).toHaveLength(tensorCount(tinyConfig));
    expect(description.bytes).toBe(4 * description.parameters.total);
    model.close();
  }
});

test("verifying reads every chunk", async () => {
  const seen: string[] = [];
  openLola(fileBytes(outside)).verify((name) => seen.push(name));
  expect(seen).toHaveLength(tensorCount(tinyConfig));
  const bytes = await Bun.file(outside).bytes();
  bytes[300]! ^= 1;
  const damaged = join(root, "damaged.lola");
  writeFileSync(damaged, bytes);
  expect(() => openLola(fileBytes(damaged)).verify()).toThrow("wte.weight chunk 0");
});

test("removing takes models of the folder only", () => {
  expect(() => removeModel(outside, folder)).toThrow(LolaError);
  expect(() => removeModel("../outside", folder)).toThrow(LolaError);
  expect(removeModel("broken", folder).name).toBe("broken");
  removeModel("owner/name", folder);
  expect(listModels(folder).map(({ name }) => name)).toEqual(["good"]);
  expect(existsSync(outside)).toBe(true);
});
