/**
 * Every fixture on both engines against an independent PyTorch program: logits, routing, greedy text, likelihoods.
 * `LOLA_FIXTURES=DIR[,DIR…] bun test test/parity` runs other folders of the same layout.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importModel } from "../../src/checkpoint/import.ts";
import { openDevice } from "../../src/device/choose.ts";
import type { Device } from "../../src/device/device.ts";
import { loadModel, type Model, openSource, tokenizerOf } from "../../src/model/open.ts";
import { greedy } from "../../src/model/session.ts";
import { fixtures } from "./fixture.ts";

const engines = ["cpu", "software"] as const;
const folder = mkdtempSync(join(tmpdir(), "lola-parity-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const fixture of fixtures(folder)) {
  describe(fixture.name, () => {
    const file = join(folder, `${fixture.name}.lola`);
    beforeAll(async () => void (await importModel(openSource(fixture.folder), file)));

    test("encodings equal the reference tokenizer's", () => {
      const tokenizer = tokenizerOf(openSource(file));
      for (const { text, ids, decoded } of fixture.encodings) {
        expect([...tokenizer.encode(text)]).toEqual(ids);
        expect(tokenizer.decode(ids)).toBe(decoded);
      }
    });

    for (const engine of engines)
      describe(engine, () => {
        let device: Device;
        let model: Model;
        beforeAll(async () => {
          device = (await openDevice(engine)).device;
          model = loadModel(device, openSource(file));
        });
        afterAll(() => device.close());

        const expected = fixture.tensors.get("logits");
        if (expected)
          test("logits within 1e-4, every expert equal, probabilities within 1e-5", async () => {
            const [batch, time, vocabulary] = expected.shape as [number, number, number];
            const inputs = fixture.tensors.get("input_ids")!;
            const session = model.session();
            for (let b = 0; b < batch; b++) {
              session.rewind();
              const ids = inputs.data.subarray(b * inputs.shape[1]!, b * inputs.shape[1]! + time);
              const scores = await session.scores(ids);
              const rows = expected.data.subarray(b * time * vocabulary, (b + 1) * time * vocabulary);
              expect(largestGap(scores.logits, rows)).toBeLessThanOrEqual(1e-4);
              for (const [j, experts] of scores.experts.entries()) {
                const span = [b * time, (b + 1) * time] as const;
                expect([...experts]).toEqual([...fixture.tensors.get(`routing.${j}.expert`)!.data.subarray(...span)]);
                const probs = fixture.tensors.get(`routing.${j}.prob`)!.data.subarray(...span);
                expect(largestGap(scores.probs[j]!, probs)).toBeLessThanOrEqual(1e-5);
              }
            }
          }, 60_000);

        test("greedy continuations equal, token by token", async () => {
          for (const { label, prompt, ids } of fixture.greedy) {
            // A reference that drew dummy rows is followed there.
            const allowed = ids.every((id) => id < model.tokenizer.size)
              ? model.tokenizer.size
              : model.config.vocabulary;
            const session = model.session({ allowed });
            const drawn = [(await session.feed(prompt, greedy)).id];
            while (drawn.length < ids.length) drawn.push((await session.next()).id);
            expect({ label, ids: drawn }).toEqual({ label, ids });
          }
        }, 120_000);

        test("one token at a time gives the logits of the full pass within 1e-4", async () => {
          const session = model.session();
          const { prompt } = fixture.greedy[0]!;
          const fed = [...prompt];
          const stepwise: Float32Array[] = [];
          let drawn = await session.feed(prompt, greedy, { logits: true });
          for (let step = 0; step < 10; step++) {
            stepwise.push(drawn.logits!);
            fed.push(drawn.id);
            drawn = await session.next({ logits: true });
          }
          session.rewind();
          const { logits } = await session.scores(fed);
          const { vocabulary } = model.config;
          for (const [step, row] of stepwise.entries()) {
            const at = (prompt.length - 1 + step) * vocabulary;
            expect(largestGap(row, logits.subarray(at, at + vocabulary))).toBeLessThanOrEqual(1e-4);
          }
        }, 60_000);

        for (const scored of fixture.texts)
          test(`bits per byte of ${scored.label} within 0.1 %`, async () => {
            const ids = model.tokenizer.encode(scored.text).subarray(0, scored.tokens + 1);
            const session = model.session();
            const { logits } = await session.scores(ids.subarray(0, -1));
            const nats = ids
              .subarray(1)
              .reduce((sum, id, t) => sum - logProbability(logits, t, model.config.vocabulary, id), 0);
            const bytes = ids.subarray(1).reduce((sum, id) => sum + model.tokenizer.bytes(id).length, 0);
            expect(bytes).toBe(scored.bytes);
            expect(Math.abs(nats / Math.LN2 / bytes / scored.bitsPerByte - 1)).toBeLessThanOrEqual(1e-3);
          }, 60_000);
      });
  });
}

function largestGap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let gap = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    // NaN counts as infinitely far.
    gap = difference <= gap ? gap : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return gap;
}

function logProbability(logits: Float32Array, row: number, vocabulary: number, id: number): number {
  const z = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
  const max = z.reduce((a, b) => Math.max(a, b));
  return z[id]! - max - Math.log(z.reduce((sum, value) => sum + Math.exp(value - max), 0));
}
