/** The mean of models of one run, weight by weight; what is not of one run is refused. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FloatReader } from "../../src/checkpoint/floats.ts";
import { importModel } from "../../src/checkpoint/import.ts";
import type { ModelSource } from "../../src/checkpoint/source.ts";
import { openSource } from "../../src/model/open.ts";
import { averageOf } from "../../weights/recipe/average.ts";

const root = mkdtempSync(join(tmpdir(), "lola-average-"));
afterAll(() => rmSync(root, { recursive: true }));
const source = openSource(join(import.meta.dir, "../../weights/babel.lola"));
afterAll(() => source.close());

/** The same model with every weight times `factor`. */
function scaled(factor: number): ModelSource {
  return {
    ...averageOf([{ share: 1, source }]),
    *read(name) {
      for (const piece of new FloatReader(source).read(name))
        yield new Uint8Array(Float32Array.from(piece, (value) => factor * value).buffer);
    },
  };
}

const values = (model: ModelSource, name: string) => [...new FloatReader(model).read(name)].flatMap((p) => [...p]);

test("the mean of each weight, in bf16, in a file that opens", async () => {
  const average = averageOf([
    { share: 0.75, source },
    { share: 0.25, source: scaled(3) },
  ]);
  // 0.75 · w + 0.25 · 3 w = 1.5 w
  for (const name of ["ln_f.weight", "h.0.attn.c_attn.bias"])
    expect(values(average, name)).toEqual(values(source, name).map((value) => Math.fround(1.5 * value)));
  const path = join(root, "average.lola");
  const { identity } = await importModel(average, path, { type: "bf16" });
  const written = openSource(path);
  expect(written.identity).toBe(identity);
  expect(written.tensors.get("wte.weight")?.type).toBe("bf16");
  written.close();
});

test("shares that are no mean, models of another shape", () => {
  expect(() => averageOf([{ share: 0.5, source }])).toThrow("the shares add up to 0.5");
  const wider = { ...source, config: { ...source.config, width: 512 } };
  expect(() =>
    averageOf([
      { share: 0.5, source },
      { share: 0.5, source: wider },
    ]),
  ).toThrow("another config");
});
