/** Import and reading need memory for a few chunks, not for the model. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveFile } from "../../src/base/atomic.ts";
import { fromFloats } from "../../src/base/float.ts";
import type { ModelConfig } from "../../src/checkpoint/config.ts";
import { toHfConfig } from "../../src/checkpoint/hf-config.ts";
import { expectedTensors } from "../../src/checkpoint/layout.ts";
import { writeSafeTensors } from "../../src/checkpoint/safetensors.ts";
import { tensorBytes } from "../../src/checkpoint/tensor.ts";
import { tinyConfig, tinyTokenizer } from "./tiny.ts";

const root = mkdtempSync(join(tmpdir(), "lola-streaming-"));
afterAll(() => rmSync(root, { recursive: true }));

/** 189 MB of bf16 in two shards. */
async function publishLarge(folder: string, config: ModelConfig): Promise<number> {
  mkdirSync(folder);
  const noise = fromFloats(
    Float32Array.from({ length: 1 << 20 }, (_, i) => Math.sin(i * i) / 32),
    "bf16",
  );
  const all = Array.from(expectedTensors(config), ([name, shape]) => ({
    name,
    type: "bf16" as const,
    shape,
    bytes: tensorBytes(name, "bf16", shape),
  }));
  const map: Record<string, string> = {};
  for (const [i, shard] of [all.slice(0, all.length >> 1), all.slice(all.length >> 1)].entries()) {
    const file = `model-${i}.safetensors`;
    for (const { name } of shard) map[name] = file;
    await saveFile(join(folder, file), (output) =>
      writeSafeTensors(output, shard, function* ({ bytes }) {
        for (let left = bytes; left > 0; left -= noise.length) yield noise.subarray(0, Math.min(left, noise.length));
      }),
    );
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
  writeFileSync(join(folder, "config.json"), JSON.stringify(toHfConfig(config, "bf16")));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tinyTokenizer));
  return all.reduce((sum, { bytes }) => sum + bytes, 0);
}

test("189 MB go through less than 96 MiB, with and without a change of type", async () => {
  const folder = join(root, "large");
  const bytes = await publishLarge(folder, {
    ...tinyConfig,
    vocabulary: 20_000,
    width: 512,
    inner: 2048,
    layers: 4,
    experts: 18,
  });
  expect(bytes).toBeGreaterThan(180e6);
  for (const type of [[], ["f16"]]) {
    const child = Bun.spawnSync([
      process.execPath,
      join(import.meta.dir, "import-child.ts"),
      folder,
      join(root, "large.lola"),
      ...type,
    ]);
    expect(child.stderr.toString()).toBe("");
    const result = JSON.parse(child.stdout.toString()) as { sourceBytes: number; read: number; rise: number };
    expect([result.sourceBytes, result.read]).toEqual([bytes, bytes]);
    expect(result.rise).toBeLessThan(96 << 20);
  }
}, 60_000);
