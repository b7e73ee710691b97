/** Which tensor gets which type, and the size that follows, to the byte and before a weight is read. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LolaError } from "../../src/base/errors.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { openLola } from "../../src/checkpoint/lola-file.ts";
import { type WeightKind, weightKind, weightKinds } from "../../src/checkpoint/quantized.ts";
import { openReference } from "../../src/device/reference.ts";
import { presets } from "../../src/model/presets.ts";
import {
  describePlan,
  type Plan,
  planFor,
  planForBudget,
  plannedBytes,
  presetChoice,
} from "../../src/quantize/plan.ts";
import { quantizeModel } from "../../src/quantize/quantize.ts";
import { madeModel, oddConfig } from "./made.ts";

const root = mkdtempSync(join(tmpdir(), "lola-plan-"));
afterAll(() => rmSync(root, { recursive: true }));

const source = madeModel();
const typesOf = (plan: Plan, kind: WeightKind | undefined) =>
  [...new Set(plan.filter(({ name }) => weightKind(name) === kind).map(({ type }) => type))].sort();

test("presets by kind; gates are f32, norms, biases and positions keep their type", () => {
  const types = (plan: Plan) => weightKinds.map((kind) => typesOf(plan, kind).join());
  expect(types(planFor(source, presetChoice("q8")))).toEqual(["q8_64", "q8_64", "q8_64", "q8_64"]);
  const [q4, both] = [planFor(source, presetChoice("q4", 32)), "q4_32,q8_32"];
  expect(types(q4)).toEqual(["q4_32", both, both, "q8_32"]);
  for (const { name, type } of q4)
    if (/attn|mlp/.test(name) && weightKind(name))
      expect([name, type]).toEqual([name, name.startsWith("h.0.") ? "q8_32" : "q4_32"]);
  expect(types(planFor(source, presetChoice("mixed", 128)))).toEqual(["q4_128", "q8_128", "q8_128", "q8_128"]);
  const plan = planFor(madeModel(oddConfig, "bf16"), presetChoice("q4", 64, { attention: "f32" }));
  expect(typesOf(plan, "attention")).toEqual(["f32"]);
  const gate = ({ name }: Plan[number]) => name.endsWith("gate.weight");
  expect(plan.filter(gate).map(({ type }) => type)).toEqual(["f32", "f32"]);
  expect(
    typesOf(
      plan.filter((tensor) => !gate(tensor)),
      undefined,
    ),
  ).toEqual(["bf16"]);
  expect(plan.filter(({ name }) => weightKind(name)).length).toBe(1 + 4 * 2 + 2 * 2 + 2 * 3 * 2);
});

test("the size told is the size written, and zstd makes it no larger", async () => {
  const device = openReference();
  const path = join(root, "a.lola");
  for (const choice of [presetChoice("q4"), presetChoice("q8", 128, { dense: "f16" })]) {
    const plan = planFor(source, choice);
    const told = plannedBytes(source, plan);
    const raw = await quantizeModel(device, source, path, plan, { store: "raw" });
    expect([raw.fileBytes, statSync(path).size]).toEqual([told, told]);
    expect((await quantizeModel(device, source, path, plan)).fileBytes).toBeLessThanOrEqual(told);
  }
  device.close();
}, 60_000);

test("LOLA v1 as q4 takes at most 4.5 GB", () => {
  const { heads, ...sizes } = presets["lola-v1"].sizes;
  const lola = madeModel({ ...oddConfig, ...sizes, heads: heads ?? 16, vocabulary: 100_096, context: 2048 });
  expect(plannedBytes(lola, planFor(lola, presetChoice("q4")))).toBeLessThan(4.5e9);
});

test("a budget lowers experts first, the least seen of them before others, then dense, attention, the first layer, the embedding", () => {
  const all8 = plannedBytes(source, planFor(source, presetChoice("q8")));
  expect(planForBudget(source, all8)).toEqual(planFor(source, presetChoice("q8")));

  const changed = (plan: Plan) =>
    plan.filter(({ name, type }) => weightKind(name) && type !== "q8_64").map(({ name }) => name);
  const seen = new Map(
    [1, 3].flatMap((layer) => [0, 1, 2].map((e) => [`h.${layer}.moe.experts.${e}`, 100 * layer + e])),
  );
  seen.set("h.3.moe.experts.1", 7);
  // One byte too little: the last layer's last expert, or the one that saw least.
  expect(changed(planForBudget(source, all8 - 1))).toEqual(
    ["c_fc", "c_proj"].map((part) => `h.3.moe.experts.2.${part}.weight`),
  );
  expect(changed(planForBudget(source, all8 - 1, { seen }))).toEqual(
    ["c_fc", "c_proj"].map((part) => `h.3.moe.experts.1.${part}.weight`),
  );

  let before: string[] = [];
  const order: string[] = [];
  const smallest = plannedBytes(
    source,
    planFor(source, presetChoice("q4", 64, { dense: "q4_64", attention: "q4_64", embedding: "q4_64" })),
  );
  for (let budget = all8; budget >= smallest; budget -= 2048) {
    const plan = planForBudget(source, budget, { seen });
    expect(plannedBytes(source, plan)).toBeLessThanOrEqual(budget);
    const now = changed(plan);
    for (const name of now)
      if (!before.includes(name)) order.push(name.startsWith("h.0.") ? "first layer" : weightKind(name)!);
    expect(before.filter((name) => !now.includes(name))).toEqual([]);
    before = now;
  }
  expect([...new Set(order)]).toEqual(["experts", "dense", "attention", "first layer", "embedding"]);
  expect(order.filter((group, i) => group !== order[i - 1])).toHaveLength(5);
}, 60_000);

test("a budget that cannot be is refused with the size that can", () => {
  let hint = "";
  try {
    planForBudget(source, 1000, { group: 32 });
  } catch (error) {
    if (!(error instanceof LolaError)) throw error;
    expect([error.kind, error.message]).toEqual([
      "usage",
      expect.stringMatching(/^made-up quantized takes [\d,]+ bytes at least, the budget is 1,000$/),
    ]);
    hint = error.hint!;
  }
  const budget = Number(/^--budget (\d+)MiB$/.exec(hint)![1]) * 2 ** 20;
  expect(plannedBytes(source, planForBudget(source, budget, { group: 32 }))).toBeLessThanOrEqual(budget);
});

test("the file tells its types, and when weights were quantized before", async () => {
  const device = openReference();
  const [first, second] = [join(root, "first.lola"), join(root, "second.lola")];
  const mixed = planFor(source, presetChoice("q8")).map((tensor) =>
    tensor.name.includes("experts.0.c_fc")
      ? { ...tensor, type: "f32" as const, bytes: source.tensors.get(tensor.name)!.bytes }
      : tensor,
  );
  expect(describePlan(mixed)[0]).toBe("experts as f32 (2) and q8_64 (10)");
  await quantizeModel(device, source, first, planFor(source, presetChoice("q8")));
  const model = openLola(fileBytes(first));
  expect(model.provenance).toMatchObject({ made: "quantize", from: "nothing" });
  expect(model.provenance.notes).toContain("experts as q8_64");
  const report = await quantizeModel(device, model, second, planFor(model, presetChoice("mixed")));
  const again = openLola(fileBytes(second));
  expect(again.provenance.notes.at(-1)).toMatch(/^12 of them were quantized before/);
  // What stays is copied, and what changes is measured against the codes that it was made from.
  expect([report.kinds.dense!.nmse, report.kinds.experts!.nmse > 0]).toEqual([0, true]);
  for (const opened of [model, again]) opened.close();
  device.close();
}, 60_000);
