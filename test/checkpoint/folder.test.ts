/** The published layout in and out: what is read, mended, ignored, refused, and that nothing changes on the way. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError, LolaError } from "../../src/base/errors.ts";
import { fromFloats, toFloats } from "../../src/base/float.ts";
import { exportHf } from "../../src/checkpoint/export.ts";
import { fromHfConfig, toHfConfig } from "../../src/checkpoint/hf-config.ts";
import { importModel } from "../../src/checkpoint/import.ts";
import { openModel } from "../../src/checkpoint/open.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { parseTokenizer, publish, publishedTensors, safeTensorsBytes, type Whole } from "./published.ts";
import { hfConfig, tinyConfig, tinyTokenizer } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-folder-"));
afterAll(() => rmSync(root, { recursive: true }));
let counter = 0;
const fresh = () => join(root, String(counter++));
const open = (path: string) => openModel(path, parseTokenizer);

const content = (model: ModelSource, name: string) =>
  Buffer.concat([...model.read(name)].map((piece) => piece.slice()));
const contents = (model: ModelSource) =>
  Object.fromEntries([...model.tensors.keys()].sort().map((name) => [name, content(model, name).toHex()]));

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
    return "accepted";
  } catch (error) {
    if (error instanceof DataError) return error.code;
    if (error instanceof LolaError) return error.kind;
    throw error;
  }
}

describe("reading", () => {
  test("one file, shards, with and without the prefix: the same model", () => {
    const bare = publishedTensors().map((tensor) => ({ ...tensor, name: tensor.name.replace("transformer.", "") }));
    const models = [
      publish(fresh()),
      publish(fresh(), { shards: 3 }),
      publish(fresh(), { tensors: bare.reverse() }),
    ].map(open);
    for (const model of models) {
      expect(model.config).toEqual(tinyConfig);
      expect(model.tokenizer).toEqual(tinyTokenizer);
      expect(model.notes).toEqual([]);
      expect(contents(model)).toEqual(contents(models[0]!));
      expect(model.identity).toBe(models[0]!.identity);
    }
  });

  test("causal masks and a tied head are ignored, and told", () => {
    const tensors = publishedTensors();
    const wte = tensors.find(({ name }) => name === "transformer.wte.weight")!;
    const mask: Whole = {
      name: "transformer.h.0.attn.bias",
      type: "f32",
      shape: [1, 1, 8, 8],
      content: new Uint8Array(256),
    };
    const masked: Whole = { ...mask, name: "transformer.h.1.attn.masked_bias", shape: [1], content: new Uint8Array(4) };
    const model = open(publish(fresh(), { tensors: [...tensors, mask, masked, { ...wte, name: "lm_head.weight" }] }));
    expect(model.tensors.size).toBe(tensors.length);
    expect(model.notes.join("\n")).toContain("2 causal masks");
    expect(model.notes.join("\n")).toContain("lm_head.weight, which equals");
  });

  test("a head of its own counts only if the config unties it, and is then refused", async () => {
    const tensors = publishedTensors();
    const head: Whole = { name: "lm_head.weight", type: "f32", shape: [24, 8], content: new Uint8Array(768) };
    const with_ = (tie: boolean, more: Whole[]) =>
      publish(fresh(), { tensors: [...tensors, ...more], config: { tie_word_embeddings: tie } });
    expect(open(with_(true, [head])).notes.join()).toContain("differs");
    expect(await codeOf(() => open(with_(false, [head])))).toBe("config.tie_word_embeddings");
    expect(await codeOf(() => open(with_(false, [])))).toBe("config.tie_word_embeddings");
    const same = { ...tensors.find(({ name }) => name === "transformer.wte.weight")!, name: "lm_head.weight" };
    expect(await codeOf(() => open(with_(false, [same])))).toBe("accepted");
  });

  test("special ids beyond the tokenizer are mended, and told", () => {
    const model = open(publish(fresh(), { config: { bos_token_id: 23, eos_token_id: 23 } }));
    expect([model.config.bos, model.config.eos]).toEqual([0, 5]);
    expect(model.notes).toHaveLength(2);
    expect(model.notes[0]).toBe("bos_token_id 23 is beyond the tokenizer's 6 tokens; mended to 0");
  });

  test("wrong folders and files are refused by what they are", async () => {
    const cases: Record<string, (folder: string) => void> = {
      "layout.missing": (folder) => publish(folder, { tensors: publishedTensors().slice(1) }),
      "layout.extra": (folder) =>
        publish(folder, {
          tensors: [...publishedTensors(), { name: "extra", type: "f32", shape: [1], content: new Uint8Array(4) }],
        }),
      "layout.shape": (folder) => publish(folder, { config: { n_inner: 8 } }),
      "tensor.double": (folder) =>
        publish(folder, {
          tensors: publishedTensors().concat({
            name: "wte.weight",
            type: "f32",
            shape: [1],
            content: new Uint8Array(4),
          }),
        }),
      "tensor.type": (folder) => {
        const bytes = safeTensorsBytes(publishedTensors());
        const text = Buffer.from(bytes).toString("latin1").replace('"dtype":"F32"', '"dtype":"I32"');
        writeFileSync(join(publish(folder), "model.safetensors"), text, "latin1");
      },
      "tokenizer.bad": (folder) => writeFileSync(join(publish(folder), "tokenizer.json"), "bad"),
      "file.length": (folder) => truncateSync(join(publish(folder), "config.json"), (64 << 20) + 1),
      "index.json": (folder) => {
        rmSync(join(publish(folder), "model.safetensors"));
        writeFileSync(join(folder, "model.safetensors.index.json"), "{}");
      },
      "file.json": (folder) => writeFileSync(join(publish(folder), "config.json"), "{"),
      "config.json": (folder) => writeFileSync(join(publish(folder), "config.json"), "[]"),
      "weights.missing": (folder) => rmSync(join(publish(folder), "model.safetensors")),
      "weights.pickle": (folder) => {
        rmSync(join(publish(folder), "model.safetensors"));
        writeFileSync(join(folder, "pytorch_model.bin"), "");
      },
      "index.name": (folder) => {
        rmSync(join(publish(folder), "model.safetensors"));
        writeFileSync(
          join(folder, "model.safetensors.index.json"),
          JSON.stringify({ weight_map: { a: "../../x.safetensors" } }),
        );
      },
      usage: (folder) => {
        rmSync(join(publish(folder, { shards: 2 }), "model-2-of-2.safetensors"));
      },
      "folder.config": (folder) => mkdirSync(folder),
    };
    for (const [code, make] of Object.entries(cases)) {
      const folder = fresh();
      make(folder);
      expect([code, await codeOf(() => open(folder))]).toEqual([code, code]);
    }
  });

  test("other kinds of files are refused with a way to go", async () => {
    const files: Record<string, Uint8Array | string> = {
      "file.pickle": Uint8Array.of(0x80, 2, 0x63, 0x6f, 0x73, 0x0a), // protocol 2, "cos\n": the start of an os.system call
      "file.gguf": "GGUF\x03\0\0\0",
      "file.safetensors": safeTensorsBytes(publishedTensors()),
      "file.magic": "",
    };
    for (const [code, bytes] of Object.entries(files)) {
      const path = fresh();
      writeFileSync(path, bytes);
      expect(await codeOf(() => open(path))).toBe(code);
    }
    const zip = fresh();
    writeFileSync(zip, "PK\x03\x04 archive/data.pkl");
    expect(await codeOf(() => open(zip))).toBe("file.pickle");
    expect(await codeOf(() => open(join(root, "nowhere.lola")))).toBe("usage");
  });
});

describe("config.json", () => {
  const code = (change: Record<string, unknown>) =>
    codeOf(() => fromHfConfig({ ...hfConfig, ...change }, 6, "config.json"));

  test("what would change the mathematics is refused", async () => {
    const refused: Record<string, unknown>[] = [
      { model_type: "gpt2" },
      { activation_function: "gelu_new" },
      { activation_function: undefined },
      { topk: 2 },
      { scale_attn_weights: false },
      { scale_attn_by_inverse_layer_idx: true },
      { add_cross_attention: true },
      { quantization_config: { bits: 4 } },
      { hidden_size: 16 },
      { vocab_size: undefined },
      { vocab_size: 5 },
      { bos_token_id: -1 },
      { eos_token_id: "5" },
      { eos_token_id: [5] },
    ];
    for (const change of refused) expect(await code(change)).toBe(`config.${Object.keys(change)[0]}`);
    expect(await code({ n_head: 3 })).toBe("config.heads");
    expect(await code({ n_layer: 1.5 })).toBe("config.layers");
    expect(await code({ layer_norm_epsilon: 0 })).toBe("config.normEpsilon");
    expect(await code({ n_embd: 2 ** 40 })).toBe("config.width");
  });

  test("defaults and aliases", () => {
    const { n_inner: _, n_embd: __, ...rest } = hfConfig;
    const { config } = fromHfConfig({ ...rest, hidden_size: 8, pad_token_id: 2, n_inner: null }, 6, "config.json");
    expect(config).toEqual({ ...tinyConfig, inner: 32, pad: 2 });
  });

  test("out and in again gives the same config", () => {
    const config = { ...tinyConfig, pad: 3, normEpsilon: 1e-6 };
    expect(fromHfConfig(toHfConfig(config, "f16"), 6, "config.json").config).toEqual(config);
  });
});

describe("import and export", () => {
  for (const type of ["f32", "f16", "bf16"] as const) {
    test(`${type}: folder → file → folder, bit for bit`, async () => {
      const source = open(publish(fresh(), { tensors: publishedTensors(type), shards: 2 }));
      const file = `${fresh()}.lola`;
      const report = await importModel(source, file);
      expect(report.losses).toEqual([]);
      const model = open(file);
      expect(model.identity).toBe(source.identity);
      expect(report.identity).toBe(source.identity);

      for (const shardBytes of [5e9, 2000]) {
        const folder = fresh();
        const { files, dequantized } = await exportHf(
          model,
          folder,
          { "tokenizer.json": JSON.stringify(tinyTokenizer) },
          { shardBytes },
        );
        expect(files.sort()).toEqual(readdirSync(folder).sort());
        expect(dequantized).toEqual([]);
        expect(existsSync(join(folder, "model.safetensors.index.json"))).toBe(shardBytes === 2000);
        const again = open(folder);
        expect(contents(again)).toEqual(contents(source));
        expect(again.identity).toBe(source.identity);
      }
    });
  }

  test("the same input gives the same bytes", async () => {
    const [a, b] = [`${fresh()}.lola`, `${fresh()}.lola`];
    const folder = publish(fresh());
    for (const path of [a, b]) await importModel(open(folder), path);
    expect(Buffer.compare(readFileSync(a), readFileSync(b))).toBe(0);
  });

  test("changing the type is exact where it can be, counted where it is not, refused where it overflows", async () => {
    // The tiny weights are multiples of 2^-10 below 1/8: exact in f16, not in bf16.
    const source = open(publish(fresh()));
    const half = await importModel(source, `${fresh()}.lola`, { type: "f16" });
    expect(half.losses).toEqual([]);
    expect([half.converted, half.sourceBytes, half.unpackedBytes]).toEqual([
      source.tensors.size,
      half.unpackedBytes * 2,
      half.unpackedBytes,
    ]);

    const tensors = publishedTensors();
    const wpe = tensors.find(({ name }) => name === "transformer.wpe.weight")!;
    const values = new Float32Array(64).fill(0.5);
    [values[1], values[2], values[3]] = [1 + 2 ** -12, Number.POSITIVE_INFINITY, 3e-8];
    wpe.content = fromFloats(values, "f32");
    const path = `${fresh()}.lola`;
    const { losses } = await importModel(open(publish(fresh(), { tensors })), path, { type: "f16" });
    expect(losses).toEqual([
      {
        name: "wpe.weight",
        from: "f32",
        to: "f16",
        elements: 64,
        inexact: 2,
        largestRelative: expect.closeTo(2 ** -24 / 3e-8 - 1, 5),
      },
    ]);
    const stored = toFloats(content(open(path), "wpe.weight"), "f16");
    expect([...stored.subarray(0, 4)]).toEqual([0.5, 1, Number.POSITIVE_INFINITY, 2 ** -24]);

    values[5] = 70_000;
    wpe.content = fromFloats(values, "f32");
    const large = publish(fresh(), { tensors });
    const target = `${fresh()}.lola`;
    expect(await codeOf(() => importModel(open(large), target, { type: "f16" }))).toBe("import.overflow");
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(root).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect((await importModel(open(large), target, { type: "bf16" })).losses.map(({ name }) => name)).toContain(
      "wpe.weight",
    );
  });

  test("export never writes over something", async () => {
    const folder = publish(fresh());
    expect(await codeOf(() => exportHf(open(folder), folder, {}))).toBe("usage");
  });
});
