/** A quantized table that is too large to be held as floats at once: the same rows, piece by piece. */
import { expect, test } from "bun:test";
import { philox, unit } from "../../src/base/random.ts";
import { FloatReader } from "../../src/checkpoint/floats.ts";
import { openDevice } from "../../src/device/choose.ts";
import { logitsSteps } from "../../src/model/products.ts";
import { randomWeights } from "../../src/model/random.ts";
import { createFloatScratch, wholeTable, withRows } from "../../src/model/training-floats.ts";
import { loadWeights } from "../../src/model/weights.ts";
import { tinyConfig } from "./tiny.ts";

for (const [vocabulary, pieces] of [
  [5000, 2],
  [4000, 1],
] as const)
  test(`${vocabulary} rows of 4096 in ${pieces}`, async () => {
    const config = { ...tinyConfig, vocabulary, width: 4096, layers: 1, inner: 16, heads: 1 };
    const source = randomWeights(config, (name) => (name === "wte.weight" ? "q4_64" : "f32"));
    const { device } = await openDevice("cpu", { threads: 1 });
    const weights = loadWeights(device, config, source);
    const scratch = createFloatScratch(device, config, weights);
    expect(scratch.table!.pieces.length).toBe(pieces);
    const values = Float32Array.from({ length: 4096 }, (_, i) => unit(philox([1, 0], [i, 0, 0, 0])[0]) - 0.5);
    const x = device.tensor({ label: "x", shape: [1, 4096], type: "f32" });
    const y = device.tensor({ label: "y", shape: [1, vocabulary], type: "f32" });
    device.upload(x, new Uint8Array(values.buffer));
    const logits = withRows(scratch, config, weights, (part) =>
      logitsSteps(config, { wte: { parts: [part] } }, x, y, 1),
    );
    const steps = [...wholeTable(scratch, config), ...logits];
    expect(steps.length).toBe(2 * pieces);
    const [bytes] = await device.run(device.program("logits", steps), {}, { read: [y] });
    const found = new Float32Array(bytes!.slice().buffer);
    let at = 0;
    for (const rows of new FloatReader(source).read("wte.weight"))
      for (let from = 0; from < rows.length; from += 4096, at++) {
        let sum = 0;
        for (let c = 0; c < 4096; c++) sum += rows[from + c]! * values[c]!;
        if (!(Math.abs(found[at]! - sum) < 1e-5)) expect(`${at}: ${found[at]}`).toBe(`${at}: ${sum}`);
      }
    expect(at).toBe(vocabulary);
    device.close();
  });
