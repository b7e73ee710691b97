/** Ridge regression: the gradient vanishes at what it finds, whichever of the two forms is used. */
import { afterAll, expect, test } from "bun:test";
import { openDevice } from "../../src/device/choose.ts";
import { ridge } from "../../src/routing/ridge.ts";

const { device } = await openDevice("cpu", { threads: 1 });
afterAll(() => device.close());

const waves = (count: number, pitch: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * pitch + i));

for (const rows of [3, 7, 40]) {
  test(`${rows} rows of 7 inputs: X'(Y − XW) = λW`, async () => {
    const [inner, cols] = [7, 5];
    const [x, y] = [waves(rows * inner, 0.37), waves(rows * cols, 1.9)];
    const w = await ridge(device, x, y, rows);
    const penalty = x.reduce((sum, v) => sum + v * v, 0) / rows;
    for (let k = 0; k < inner; k++)
      for (let c = 0; c < cols; c++) {
        let slope = -penalty * w[k * cols + c]!;
        for (let t = 0; t < rows; t++) {
          let left = y[t * cols + c]!;
          for (let i = 0; i < inner; i++) left -= x[t * inner + i]! * w[i * cols + c]!;
          slope += x[t * inner + k]! * left;
        }
        expect(slope).toBeCloseTo(0, 4);
      }
    expect(w.some((value) => Math.abs(value) > 0.01)).toBe(true);
  });
}

test("inputs that are all zero change nothing", async () => {
  expect(await ridge(device, new Float32Array(6), waves(4, 1), 2)).toEqual(new Float32Array(6));
});
