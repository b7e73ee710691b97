/** Adapters of the fixture's tiny model, as files in the tests' home. */
import { join } from "node:path";
import { type AdapterConfig, adapterTensors } from "../../src/checkpoint/adapter.ts";
import { type AdapterSource, saveAdapter } from "../../src/checkpoint/adapter-file.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import type { TensorStream } from "../../src/checkpoint/tensor.ts";
import { alpaca } from "../../src/data/template.ts";
import { openSource } from "../../src/model/open.ts";
import { madeAdapter } from "../model/adapters.ts";
import { home, root } from "./lola.ts";

/** 4 layers, 16 experts, 1024 tokens, f32. */
export const model = join(root, "../shared/fixtures/tiny-lola");

export interface Made {
  of?: string;
  scale?: number;
  seed?: number;
  /** Keep no template. */
  plain?: true;
}

/** Saves an adapter of made-up numbers. @returns its path */
export async function savedAdapter(
  name: string,
  changes: Partial<AdapterConfig> = {},
  made: Made = {},
): Promise<string> {
  const path = join(home, name);
  const source = openSource(made.of ?? model);
  const adapter: AdapterConfig = {
    ...{ rank: 3, alpha: 6, dropout: 0, targets: ["attn.c_attn", "experts.c_fc", "experts.c_proj"] },
    ...changes,
  };
  await saveAs(path, source, madeAdapter(source.config, adapter, made.scale ?? 0.3, made.seed), made.plain);
  source.close();
  return path;
}

async function saveAs(path: string, { label, identity, config }: ModelSource, made: AdapterSource, plain?: true) {
  const { adapter, provenance, read } = made;
  function* streams(): Generator<TensorStream> {
    for (const [name, shape] of adapterTensors(config, adapter)) yield { name, type: "f32", shape, pieces: read(name) };
  }
  const template = plain ? {} : { template: { ...alpaca } };
  await saveAdapter(path, { adapter, base: { identity, name: label, config }, provenance, ...template }, streams());
}
