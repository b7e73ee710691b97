/** Weights whose memory is the file: the same answers, and the same refusal of damage. */
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileBytes } from "../../src/checkpoint/bytes.ts";
import { inOrder } from "../../src/checkpoint/layout.ts";
import { openLola, saveLola } from "../../src/checkpoint/lola-file.ts";
import { weightKind } from "../../src/checkpoint/quantized.ts";
import type { TensorInfo } from "../../src/checkpoint/tensor.ts";
import { type CpuDevice, openCpu } from "../../src/device/cpu/cpu.ts";
import { randomWeights } from "../../src/model/random.ts";
import { greedy, Session } from "../../src/model/session.ts";
import { loadWeights, type WeightSource } from "../../src/model/weights.ts";
import { dummyTokenizer } from "../../src/tokenizer/layout.ts";
import { tinyConfig } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-mapping-"));
const opened: CpuDevice[] = [];
afterAll(() => {
  for (const device of opened) device.close();
  rmSync(root, { recursive: true });
});

/** Every matrix takes a multiple of 256 bytes. */
const config = { ...tinyConfig, vocabulary: 512, width: 64, heads: 4, inner: 128, experts: 3 };
const made = randomWeights(config, (name) => (weightKind(name) ? "q4_32" : name === "wpe.weight" ? "f16" : "f32"));

async function write(name: string, tensors: Iterable<TensorInfo>, store: "raw" | "zstd" = "raw"): Promise<string> {
  const path = join(root, name);
  const provenance = { made: "test", from: "random bits", version: "0", notes: [] };
  const streams = Array.from(tensors, ({ name, type, shape }) => ({ name, type, shape, pieces: made.read(name) }));
  await saveLola(path, { config, tokenizer: dummyTokenizer(512), provenance, tensors: streams }, { store });
  return path;
}

const ordered = await write("ordered.lola", inOrder({ config, tensors: made.tensors }));

/** Loads a model, and tells which tensors were mapped. */
function load(source: WeightSource): { device: CpuDevice; session: Session; mapped: string[] } {
  const device = openCpu({ threads: 1 });
  opened.push(device);
  const mapped: string[] = [];
  const map = device.map.bind(device);
  device.map = (spec, file, offset) => {
    const found = map(spec, file, offset);
    if (found) mapped.push(spec.label);
    return found;
  };
  return { device, session: new Session(device, config, loadWeights(device, config, source)), mapped };
}

async function answer(session: Session): Promise<Float32Array> {
  session.rewind();
  return (await session.feed([7, 300, 3, 250, 9, 9, 42], greedy, { logits: true })).logits!;
}

const copied = load(made);
const expected = await answer(copied.session);

test("the same answers, also after the file was closed and removed", async () => {
  const path = join(root, "removed.lola");
  copyFileSync(ordered, path);
  const source = openLola(fileBytes(path));
  const { device, session, mapped } = load(source);
  source.close();
  rmSync(path);
  expect(await answer(session)).toEqual(expected);
  for (const label of ["wte.weight", "wpe.weight", "h.0.attn.c_attn.weight", "h.1.moe.experts.0.c_fc.weight"])
    expect(mapped).toContain(label);
  // What is mapped counts as memory that the model takes.
  expect(device.memory).toBe(copied.device.memory);
});

test("experts in another order are copied, and compressed ones too", async () => {
  const labels = ["h.1.moe.experts.0.c_fc.weight", "h.1.moe.experts.0.c_proj.weight"];
  const alternating = openLola(fileBytes(await write("alternating.lola", made.tensors.values())));
  const packed = openLola(fileBytes(await write("packed.lola", made.tensors.values(), "zstd")));
  for (const source of [alternating, packed]) {
    const { session, mapped } = load(source);
    for (const label of labels) expect(mapped).not.toContain(label);
    expect(await answer(session)).toEqual(expected);
  }
  expect(packed.extent!("wte.weight")).toBeUndefined();
  expect(alternating.extent!("wte.weight")).toBeDefined();
});

test("damage is refused where it is mapped", () => {
  const bytes = readFileSync(ordered);
  const source = openLola(fileBytes(ordered));
  const damaged = (name: string, at: number, code: string) => {
    const path = join(root, "damaged.lola");
    const changed = Uint8Array.from(bytes);
    changed[source.extent!(name)!.offset + at]! ^= 1;
    writeFileSync(path, changed);
    const model = openLola(fileBytes(path));
    expect(() => load(model)).toThrow(expect.objectContaining({ code }));
    model.close();
  };
  damaged("wte.weight", 12345, "chunk.hash");
  damaged("h.1.moe.experts.2.c_proj.weight", 0, "chunk.hash");
  damaged("h.1.ln_1.weight", 4 * 64 - 1, "chunk.hash");
  source.close();
});

test("what is written to a mapped tensor stays in memory", async () => {
  const device = openCpu({ threads: 1 });
  opened.push(device);
  const path = join(root, "plain");
  const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i);
  writeFileSync(path, bytes);
  const file = openSync(path, "r");
  const map = (count: number, offset: number) => device.map({ label: "t", shape: [count], type: "u32" }, file, offset);
  const { tensor, read } = map(500, 512)!;
  expect(Buffer.compare(read(600, 100), bytes.subarray(600, 700))).toBe(0);
  expect(() => read(511, 1)).toThrow(RangeError);
  expect(() => read(512, 2000 + 257)).toThrow(RangeError);
  expect(Buffer.compare(await device.download(tensor), bytes.subarray(512, 2512))).toBe(0);
  device.upload(tensor, Uint8Array.of(1, 2, 3, 4), 8);
  expect((await device.download(tensor)).subarray(8, 12)).toEqual(Uint8Array.of(1, 2, 3, 4));
  expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
  device.free(tensor);
  expect(device.memory).toBe(0);
  // Kernels read up to 256 bytes beyond a tensor, so these must be in the file.
  expect(map(500, 744)).toBeDefined();
  expect(map(500, 745)).toBeUndefined();
});
