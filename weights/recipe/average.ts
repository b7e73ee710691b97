/**
 * `bun weights/recipe/average.ts OUT.lola SHARE:MODEL SHARE:MODEL …`: the weighted mean of models that one run went
 * through, in bf16. What each of them learnt by heart differs, what they all learnt stays (Wortsman et al., 2022,
 * "Model soups").
 */
import { LolaError } from "../../src/base/errors.ts";
import { FloatReader } from "../../src/checkpoint/floats.ts";
import { importModel } from "../../src/checkpoint/import.ts";
import { identityOf, type ModelSource, tensorHashes } from "../../src/checkpoint/source.ts";
import { tensorBytes } from "../../src/checkpoint/tensor.ts";
import { openSource } from "../../src/model/open.ts";

export interface Part {
  share: number;
  source: ModelSource;
}

/**
 * Σ share · weights in f32, as a model to be read; config and tokenizer are the first one's.
 * @throws LolaError "usage" if the shares do not add up to 1, or the models are not of one shape and one tokenizer
 */
export function averageOf(parts: readonly Part[]): ModelSource {
  const [first] = parts;
  const sum = parts.reduce((total, { share }) => total + share, 0);
  if (!first || Math.abs(sum - 1) > 1e-6) throw new LolaError("usage", `the shares add up to ${sum}`, "1 in all");
  const { source } = first;
  for (const { source: other } of parts) {
    for (const part of ["config", "tokenizer"] as const)
      if (!Bun.deepEquals(other[part], source[part]))
        throw new LolaError("usage", `${other.label} has another ${part} than ${source.label}`, "models of one run");
  }
  const tensors = [...source.tensors.values()].map(({ name, shape }) => {
    const type = "f32" as const;
    return [name, { name, type, shape, bytes: tensorBytes(name, type, shape) }] as const;
  });
  const made = parts.map(({ share, source: { identity } }) => `${share} of ${identity}`).join(", ");
  const { config, tokenizer, provenance } = source;
  const byName = new Map(tensors);
  function* read(name: string): Generator<Uint8Array> {
    const mean = new Float64Array(source.tensors.get(name)!.shape.reduce((a, b) => a * b));
    for (const { share, source: part } of parts) {
      let at = 0;
      for (const piece of new FloatReader(part).read(name)) for (const value of piece) mean[at++]! += share * value;
    }
    yield new Uint8Array(Float32Array.from(mean).buffer);
  }
  return {
    label: "average",
    config,
    tokenizer,
    provenance: { ...provenance, made: "average", from: made },
    tensors: byName,
    notes: [],
    read,
    get identity() {
      return identityOf(config, tokenizer, tensorHashes(byName, read));
    },
    close() {
      for (const part of parts) part.source.close();
    },
  };
}

if (import.meta.main) {
  const [out, ...words] = process.argv.slice(2);
  const parts = words.map((word) => {
    const [share, ...path] = word.split(":");
    return { share: Number(share), source: openSource(path.join(":")) };
  });
  if (!out || parts.length === 0) {
    console.error("usage: bun weights/recipe/average.ts OUT.lola SHARE:MODEL SHARE:MODEL …");
    process.exit(2);
  }
  const average = averageOf(parts);
  const { identity, fileBytes } = await importModel(average, out, { type: "bf16" });
  average.close();
  console.log(`${out}: ${fileBytes} bytes, identity ${identity}`);
}
