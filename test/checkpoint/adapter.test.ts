/** Adapters in files: what was saved comes back, damage and other models are refused; PEFT's folders, there and back. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError } from "../../src/base/errors.ts";
import { type AdapterConfig, adapterTargets, adapterTensors, targetGroups } from "../../src/checkpoint/adapter.ts";
import { type AdapterSource, checkBase, openAdapter, saveAdapter } from "../../src/checkpoint/adapter-file.ts";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { mergeAdapters } from "../../src/checkpoint/merge.ts";
import { encode } from "../../src/checkpoint/msgpack.ts";
import { exportPeft, importPeft } from "../../src/checkpoint/peft.ts";
import { openSafeTensors } from "../../src/checkpoint/safetensors.ts";
import type { TensorStream } from "../../src/checkpoint/tensor.ts";
import { madeAdapter, madeModel } from "../model/adapters.ts";
import { tinyConfig as config } from "../model/tiny.ts";
import { type Header, putTogether, takeApart } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-adapter-"));
afterAll(() => rmSync(root, { recursive: true }));

const all: AdapterConfig = { rank: 3, alpha: 6, dropout: 0.1, targets: [...adapterTargets] };
const some: AdapterConfig = { ...all, targets: [...targetGroups.experts], experts: [[1, 4]] };
const attention: AdapterConfig = { ...all, alpha: 1.5, targets: [...targetGroups.attention] };
const template = { name: "alpaca", parts: ["### Instruction:\n", "\n\n### Response:\n"] };

function* streams(source: AdapterSource): Generator<TensorStream> {
  for (const [name, shape] of adapterTensors(config, source.adapter))
    yield { name, type: "f32", shape, pieces: source.read(name) };
}

const contents = ({ tensors, read }: Pick<AdapterSource, "tensors" | "read">) =>
  Array.from(tensors.values(), (tensor) => [
    tensor,
    Buffer.concat([...read(tensor.name)].map((p) => p.slice())).toString("hex"),
  ]);

async function saved(name: string, adapter: AdapterConfig, more: object = {}): Promise<string> {
  const path = join(root, name);
  const source = madeAdapter(config, adapter);
  const { base, provenance } = source;
  await saveAdapter(path, { adapter, base, provenance, ...more }, streams(source));
  return path;
}

const opened = (path: string) => openAdapter(fileBytes(path));

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof DataError) return error.code;
    throw error;
  }
  return "";
}

test("what was saved comes back, and the same contents make the same bytes", async () => {
  for (const [label, adapter] of Object.entries({ all, some, attention })) {
    const path = await saved(`${label}.lola`, adapter, { template });
    const file = opened(path);
    expect(file.adapter).toEqual(adapter);
    expect(file.template).toEqual(template);
    expect(contents(file).map(([, bytes]) => bytes)).toEqual(
      contents(madeAdapter(config, adapter)).map(([, bytes]) => bytes),
    );
    file.close();
    const again = await saved(`${label}-again.lola`, adapter, { template });
    expect(readFileSync(again)).toEqual(readFileSync(path));
  }
});

test("names and shapes", () => {
  expect([...adapterTensors(config, some)]).toEqual([
    ["h.1.moe.experts.1.c_fc.lora_a", [36, 3]],
    ["h.1.moe.experts.1.c_fc.lora_b", [3, 70]],
    ["h.1.moe.experts.1.c_proj.lora_a", [70, 3]],
    ["h.1.moe.experts.1.c_proj.lora_b", [3, 36]],
    ["h.1.moe.experts.4.c_fc.lora_a", [36, 3]],
    ["h.1.moe.experts.4.c_fc.lora_b", [3, 70]],
    ["h.1.moe.experts.4.c_proj.lora_a", [70, 3]],
    ["h.1.moe.experts.4.c_proj.lora_b", [3, 36]],
  ]);
  expect([...adapterTensors(config, { ...all, targets: ["head"] })]).toEqual([
    ["head.lora_a", [36, 3]],
    ["head.lora_b", [3, 301]],
  ]);
});

test("what is not as FORMAT.md has it is refused", async () => {
  const { chunks, header } = takeApart(readFileSync(await saved("valid.lola", some)));
  type Meta = { adapter: Record<string, unknown>; base: Record<string, unknown> };
  const refused = (change: (meta: Meta, header: Header) => void) => {
    const copy = structuredClone(header);
    change(copy.meta as unknown as Meta, copy);
    const path = join(root, "other.lola");
    writeFileSync(path, putTogether(chunks, encode(copy)));
    return codeOf(() => opened(path).close());
  };
  expect(refused(() => {})).toBe("");
  expect(refused((_, header) => (header.kind = "model"))).toBe("header.kind");
  for (const rank of [0, 5000]) expect(refused(({ adapter }) => (adapter.rank = rank))).toBe("adapter.rank");
  expect(refused(({ adapter }) => (adapter.alpha = 0))).toBe("adapter.alpha");
  expect(refused(({ adapter }) => (adapter.dropout = 1))).toBe("adapter.dropout");
  for (const targets of [[], ["lm_head"], ["experts.c_proj", "experts.c_fc"]])
    expect(refused(({ adapter }) => (adapter.targets = targets))).toBe("adapter.targets");
  for (const experts of [[[5]], [[1, 1]], [[4, 1]]])
    expect(refused(({ adapter }) => (adapter.experts = experts))).toBe("adapter.experts");
  expect(refused(({ adapter }) => (adapter.experts = []))).toBe("header.fields");
  expect(refused(({ adapter }) => (adapter.experts = [[]]))).toBe("adapter.targets");
  for (const rank of [2, 4]) expect(refused(({ adapter }) => (adapter.rank = rank))).toBe("adapter.tensor");
  expect(refused(({ adapter }) => (adapter.experts = [[1]]))).toBe("adapter.tensor");
  expect(refused(({ adapter }) => (adapter.experts = [[1, 2, 4]]))).toBe("adapter.tensor");
  expect(refused(({ base }) => (base.identity = "12"))).toBe("header.fields");
  expect(refused(({ base }) => delete base.config)).toBe("header.fields");
});

test("another model than the one it was made for is refused in one line", () => {
  const adapter = madeAdapter(config, attention);
  const model = madeModel(config);
  const other = { ...model, label: "other.lola", identity: "f".repeat(64) };
  expect(() => checkBase(adapter, model)).not.toThrow();
  expect(() => checkBase(adapter, other)).toThrow(
    "adapter is for the model made (0123456789ab…), other.lola is another (ffffffffffff…)",
  );
  expect(codeOf(() => mergeAdapters(other, [{ adapter, strength: 1 }]))).toBe("adapter.base");
  expect(codeOf(() => mergeAdapters(model, [{ adapter: madeAdapter(config, all), strength: 1 }]))).toBe("adapter.head");
});

test("a merged model keeps the base's types, its other tensors as they are, and has an identity of its own", () => {
  const typeOf = (name: string) => (/attn\..*weight/.test(name) ? "q8_32" : /mlp.*weight/.test(name) ? "f16" : "f32");
  const model = madeModel(config, typeOf);
  const adapter = madeAdapter(config, { ...all, targets: ["attn.c_attn", "mlp.c_fc"] });
  const merged = mergeAdapters(model, [{ adapter, strength: 1 }], { type: "bf16" });
  for (const { name, type } of merged.tensors.values()) {
    expect(type).toBe(/(c_attn|mlp\.c_fc)\.weight/.test(name) ? "bf16" : typeOf(name));
    const same = Buffer.concat([...merged.read(name)]).equals(Buffer.concat([...model.read(name)]));
    expect(same, name).toBe(!/(c_attn|mlp\.c_fc)\.weight/.test(name));
  }
  for (const { name, type } of mergeAdapters(model, [{ adapter, strength: 1 }]).tensors.values())
    expect(type).toBe(/c_attn\.weight/.test(name) ? "f32" : typeOf(name));
  expect(merged.identity).not.toBe(model.identity);
  expect(mergeAdapters(model, [{ adapter, strength: 1 }], { type: "bf16" }).identity).toBe(merged.identity);
  expect(mergeAdapters(model, [{ adapter, strength: 0.5 }], { type: "bf16" }).identity).not.toBe(merged.identity);
});

test("PEFT's folder of attention: its names, shapes and settings for Conv1D modules", async () => {
  const folder = join(root, "peft-attention");
  await exportPeft(madeAdapter(config, attention), folder);
  const file = openSafeTensors(join(folder, "adapter_model.safetensors"));
  const of = (i: number) => [
    [`base_model.model.transformer.h.${i}.attn.c_attn.lora_A.weight`, "F32", [3, 36]],
    [`base_model.model.transformer.h.${i}.attn.c_attn.lora_B.weight`, "F32", [108, 3]],
    [`base_model.model.transformer.h.${i}.attn.c_proj.lora_A.weight`, "F32", [3, 36]],
    [`base_model.model.transformer.h.${i}.attn.c_proj.lora_B.weight`, "F32", [36, 3]],
  ];
  expect(Array.from(file.tensors, ([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([0, 1, 2].flatMap(of));
  file.close();
  // The keys that PEFT 0.11 wrote for GPT-2, in its order.
  expect(JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"))).toEqual({
    ...{ alpha_pattern: {}, auto_mapping: null, base_model_name_or_path: "made", bias: "none", fan_in_fan_out: true },
    ...{ inference_mode: true, init_lora_weights: true, layer_replication: null, layers_pattern: null },
    ...{ layers_to_transform: null, loftq_config: {}, lora_alpha: 1.5, lora_dropout: 0.1, megatron_config: null },
    ...{ megatron_core: "megatron.core", modules_to_save: null, peft_type: "LORA", r: 3, rank_pattern: {} },
    ...{ revision: null, target_modules: ["attn.c_attn", "attn.c_proj"], task_type: "CAUSAL_LM" },
    ...{ use_dora: false, use_rslora: false },
  });
});

test("PEFT's folders are read back bit for bit", async () => {
  const model = madeModel(config);
  for (const [label, adapter] of Object.entries({
    all,
    some,
    attention,
    alone: { ...all, targets: ["attn.c_attn" as const] },
  })) {
    const folder = join(root, `peft-${label}-there`);
    const source = madeAdapter(config, adapter);
    await exportPeft(source, folder);
    const back = importPeft(folder, model, "0");
    expect(back.adapter).toEqual(adapter);
    expect(contents(back).sort()).toEqual(contents(source).sort());
    const again = join(root, `peft-${label}-again`);
    await exportPeft({ ...back, base: source.base }, again);
    for (const file of ["adapter_config.json", "adapter_model.safetensors"])
      expect(readFileSync(join(again, file))).toEqual(readFileSync(join(folder, file)));
    const settings = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"));
    if (label === "some")
      expect(settings.target_modules).toEqual([
        ...["h.1.moe.experts.1.c_fc", "h.1.moe.experts.4.c_fc"],
        ...["h.1.moe.experts.1.c_proj", "h.1.moe.experts.4.c_proj"],
      ]);
    // As PEFT finds them: each module's name ends in a target after a dot, and no other's does.
    const modules = new Set([...adapterTensors(config, adapter).keys()].map((name) => name.replace(/\.lora_.$/, "")));
    for (const name of [...adapterTensors(config, all).keys()].map((name) => name.replace(/\.lora_.$/, ""))) {
      const there = name === "head" ? "lm_head" : `transformer.${name}`;
      const found = settings.target_modules.some((target: string) => there === target || there.endsWith(`.${target}`));
      expect(`${name} ${found}`).toBe(`${name} ${modules.has(name)}`);
    }
  }
});

test("PEFT's folders that are something else are refused by name", async () => {
  const folder = join(root, "peft-bad");
  await exportPeft(madeAdapter(config, attention), folder);
  const path = join(folder, "adapter_config.json");
  const settings = JSON.parse(readFileSync(path, "utf8"));
  const refused = (change: object) => {
    writeFileSync(path, JSON.stringify({ ...settings, ...change }));
    return codeOf(() => importPeft(folder, madeModel(config), "0").close());
  };
  expect(refused({})).toBe("");
  expect(refused({ peft_type: "IA3" })).toBe("peft.peft_type");
  expect(refused({ use_rslora: true })).toBe("peft.use_rslora");
  expect(refused({ use_dora: true })).toBe("peft.use_dora");
  expect(refused({ bias: "all" })).toBe("peft.bias");
  expect(refused({ modules_to_save: ["wte"] })).toBe("peft.modules_to_save");
  expect(refused({ rank_pattern: { c_attn: 8 } })).toBe("peft.rank_pattern");
  expect(refused({ r: 4 })).toBe("adapter.tensor");
  expect(refused({ r: "3" })).toBe("header.fields");
  writeFileSync(path, JSON.stringify(settings));
  expect(codeOf(() => importPeft(folder, madeModel({ ...config, layers: 4 }), "0"))).toBe("adapter.tensor");
  expect(codeOf(() => importPeft(folder, madeModel({ ...config, layers: 2 }), "0"))).toBe("adapter.tensor");
});
