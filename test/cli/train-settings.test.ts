/** Flags of `lola train` → settings: defaults, sizes, batches; and what is offered where memory is short. */
import { expect, test } from "bun:test";
import { commands } from "../../src/cli/commands/index.ts";
import { settingOf } from "../../src/cli/settings.ts";
import type { Notes } from "../../src/cli/streams.ts";
import { type TrainFlags, trainFlags } from "../../src/cli/train-flags.ts";
import { refuseTooLarge } from "../../src/cli/train-memory.ts";
import { duration, Progress, sparkline } from "../../src/cli/train-progress.ts";
import { type Basis, resolveSettings } from "../../src/cli/train-settings.ts";
import { shareTable } from "../../src/cli/train-show.ts";
import { parameterCounts } from "../../src/model/presets.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { trainTokenizer } from "../../src/tokenizer/train.ts";
import { planTraining } from "../../src/train/plan.ts";

const tokenizer = new Tokenizer(await trainTokenizer([{ text: "watu wote", weight: 1 }], { vocabulary: 262 }));
const basis: Basis = {
  ...{ tokenizer, model: undefined, device: { kind: "cpu", name: "x", software: true }, paths: ["corpus"] },
  ...{ languages: 100, tokens: 10_000_000 },
};

const command = commands.find(({ name }) => name === "train")!;
const defaults = Object.fromEntries(
  Object.entries(trainFlags).map(([key, flag]) => [key, settingOf(command, key, flag, [], {}).value]),
);
const settings = (flags: Partial<TrainFlags>, other: Partial<Basis> = {}) =>
  resolveSettings({ ...defaults, ...flags } as TrainFlags, { ...basis, ...other });

test("nano by default: its tokens follow the model, or four times the text", () => {
  const { model, recipe, shape, accumulate, validateEvery, data } = settings({});
  expect(model).toMatchObject({ vocabulary: 320, width: 128, layers: 4, heads: 4, inner: 512, experts: 16, eos: 5 });
  expect([shape.batch, shape.time, accumulate, shape.capacity, shape.dropout]).toEqual([16, 256, 1, undefined, 0]);
  const wanted = 20 * parameterCounts(model).active;
  expect(Math.abs(recipe.tokens - wanted)).toBeLessThanOrEqual(2048);
  expect(recipe).toMatchObject({ optimizer: "muon", rate: 0.005, finalRate: 0.0005 });
  expect(recipe.warmup).toBe(Math.round(0.02 * recipe.tokens));
  expect(validateEvery).toBe(Math.round(recipe.tokens / 4096 / 50));
  expect(data.windows).toBe(5);
  expect(settings({}, { tokens: 10_240 }).recipe.tokens).toBe(40_960);
  expect(settings({}, { tokens: 10 }).recipe.tokens).toBe(4096);
});

test("lola-v1 has the published recipe", () => {
  const { model, recipe, shape, accumulate, sigma } = settings({ preset: "lola-v1", tokens: 1e12 });
  expect(model).toMatchObject({ width: 2048, layers: 24, heads: 16, inner: 8192, context: 2048 });
  expect(recipe).toMatchObject({ optimizer: "adamw", rate: 2e-4, finalRate: 2e-5, warmup: 1e11, decay: 8e11 });
  expect(recipe).toMatchObject({ weightDecay: 0.1, clip: 1 });
  expect(shape).toMatchObject({ batch: 8, dropout: 0.1, capacity: { factor: 1, least: 4, random: true } });
  expect([accumulate, sigma]).toEqual([96, 0.01]);
  expect(settings({ preset: "lola-v1", capacityFactor: 0 }).shape.capacity).toBeUndefined();
});

test("sizes follow a width that is given", () => {
  expect(settings({ width: 64 }).model).toMatchObject({ heads: 4, inner: 256 });
  expect(settings({ width: 512 }).model).toMatchObject({ heads: 8, inner: 2048 });
  expect(settings({ width: 96, heads: 3, inner: 100 }).model).toMatchObject({ heads: 3, inner: 100 });
});

test("two of batch, micro-batch and accumulate say the third", () => {
  const parts = (flags: Partial<TrainFlags>) => {
    const { shape, accumulate } = settings(flags);
    return [shape.batch, accumulate];
  };
  expect(parts({ batch: 64 })).toEqual([16, 4]);
  expect(parts({ batch: 34 })).toEqual([2, 17]);
  expect(parts({ microBatch: 4 })).toEqual([4, 4]);
  expect(parts({ accumulate: 8 })).toEqual([2, 8]);
  expect(parts({ microBatch: 3, accumulate: 5 })).toEqual([3, 5]);
  expect(() => parts({ accumulate: 3 })).toThrow("--accumulate 3 does not divide a batch of 16");
  expect(() => parts({ batch: 2, accumulate: 4 })).toThrow("does not divide");
});

test("a run that is too large is offered the nearest one that fits", () => {
  const hint = (available: number) => {
    const config = settings({});
    try {
      refuseTooLarge({ config, memory: { ...planTraining(config), available } });
      return undefined;
    } catch (error) {
      return (error as { hint: string }).hint;
    }
  };
  const config = settings({});
  const need = (batch: number, recompute: boolean) =>
    planTraining({ ...config, shape: { ...config.shape, batch, recompute } }).total;
  expect(hint(need(16, false))).toBeUndefined();
  expect(hint(need(16, false) - 1)).toBe("--micro-batch 8 --accumulate 2");
  expect(hint(need(4, false))).toBe("--micro-batch 4 --accumulate 4");
  expect(hint(need(1, false) - 1)).toMatch(/^--micro-batch \d+ --accumulate \d+ --recompute$/);
  expect(hint(1000)).toBe("a machine with more memory");
});

test("a table of many languages is cut in the middle, unless it is wanted whole", () => {
  const shares = Array.from({ length: 30 }, (_, i) => ({
    ...{ language: `l${i}`, documents: 1, bytes: 1000, tokens: 300, probability: 1 / 30, epochs: 2000 },
  }));
  expect(shareTable(shares, true).split("\n")).toHaveLength(31);
  const lines = shareTable(shares, false).split("\n");
  expect(lines).toHaveLength(22);
  expect(lines[11]).toBe("... 10 more");
  expect(new Set(lines.filter((_, i) => i !== 11).map((l) => l.length)).size).toBe(1);
});

test("a curve of blocks, and times in the unit that fits", () => {
  expect(sparkline([4, 3, 2, 1], 4)).toBe("█▆▃▁");
  expect(sparkline([1, 1, Number.NaN], 9)).toBe("▁▁");
  expect(
    sparkline(
      Array.from({ length: 999 }, (_, i) => -i),
      8,
    ),
  ).toBe("█▇▆▅▄▃▂▁");
  expect([5, 754, 9000, 1e6].map(duration)).toEqual(["5 s", "13 min", "2.5 h", "11.6 days"]);
});

test("progress: rate and time left from the steps' own pace, a line for each validation", () => {
  const logged: string[] = [];
  let shown = "";
  const notes = { log: (text: string) => logged.push(text), progress: (text: string) => (shown = text) };
  let time = 0;
  const progress = new Progress(notes as unknown as Notes, 10_000, () => time);
  const { entropy, share } = { entropy: [1], share: [0.5] };
  const step = (n: number, bad = 0): void => {
    time += 2;
    const values = { loss: 10_000 / n, aux: 1, norm: 1, rate: 1, entropy, share, bad };
    progress.see({ event: "step", step: n, tokens: 100 * n, ...values });
  };
  step(1);
  expect(shown).toBe("step 1/10000  0 %  loss 10000.000  ▁");
  for (let n = 2; n <= 9000; n++) step(n);
  expect(shown).toMatch(/^step 9000\/10000 {2}90 % {2}loss 1\.111 {2}50 tokens\/s {2}33 min left {2}█▂▁+$/);
  time += 1000;
  progress.see({ event: "validation", step: 9000, tokens: 1, bitsPerByte: 1.5, languages: {}, load: [] });
  expect(logged).toEqual(["step 9000 of 10000: loss 1.111, 1.5000 bits per byte, 50 tokens/s, 33 min left"]);
  time += 1000;
  step(9001, 3);
  expect(logged[1]).toBe("step 9001: 3 of its gradients not finite, left out");
  expect(shown).toContain("50 tokens/s  33 min left");
});
