/** What is not finite is noticed, wherever it comes from, and changes nothing. */
import { afterAll, describe, expect, test } from "bun:test";
import { openDevice } from "../../src/device/choose.ts";
import { initialWeights } from "../../src/model/init.ts";
import { TrainingEngine } from "../../src/train/engine.ts";

const config = {
  ...{ family: "lola_v1" as const, vocabulary: 128, context: 8, width: 16, layers: 2, heads: 2, inner: 32 },
  ...{ experts: 4, normEpsilon: 1e-5, bos: 0, eos: 5, pad: 1 },
};
const recipe = {
  ...{
    optimizer: "adamw" as const,
    tokens: 1e6,
    rate: 0.01,
    finalRate: 0.01,
    warmup: 0,
    decay: 0,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
  },
  ...{ weightDecay: 0.1, clip: 1, balance: 0.01 },
};
const batch = {
  inputs: Uint32Array.from({ length: 16 }, (_, i) => 10 + i),
  targets: Uint32Array.from({ length: 16 }, (_, i) => 11 + i),
};

for (const engine of ["cpu", "software"] as const)
  describe(engine, async () => {
    const { device } = await openDevice(engine);
    afterAll(() => device.close());

    // The row of a token that is neither read nor wanted is seen only as one logit among many.
    for (const [name, at] of [
      ["wte.weight", 120 * 16 + 3],
      ["wte.weight", 12 * 16],
      ["wpe.weight", 5],
      ["h.1.moe.gate.weight", 7],
      // Of every expert, since which ones are used depends on the router.
      ["experts.*.c_fc.bias", 0],
      ["h.0.attn.c_attn.weight", 40],
      ["ln_f.weight", 2],
    ] as const)
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
        test(`${name}[${at}] = ${value}`, async () => {
          const source = initialWeights(config, 1n, 0.02);
          const poisoned = (stored: string) => new Bun.Glob(`**${name}`).match(stored);
          const shape = { batch: 2, time: 8, recompute: false, dropout: 0 };
          const training = new TrainingEngine(device, config, recipe, shape, 1n);
          training.load("weights", {
            tensors: source.tensors,
            *read(wanted) {
              for (const piece of source.read(wanted)) {
                if (poisoned(wanted)) new Float32Array(piece.buffer)[at] = value;
                yield piece;
              }
            },
          });
          const before = await contents(training);
          const { bad } = await training.step([batch], 1, 0.01);
          expect(bad).toBeGreaterThan(0);
          expect(await contents(training)).toEqual(before);
        });
  });

async function contents(training: TrainingEngine): Promise<string[]> {
  const hashes: string[] = [];
  for await (const { pieces } of training.stored("weights"))
    for await (const piece of pieces) hashes.push(String(Bun.hash(piece)));
  return hashes;
}
