/** The byte n-gram that the trained model is measured against. */
import { expect, test } from "bun:test";
import { ByteNgram } from "../../weights/recipe/ngram.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = "der hund und die katze und der hase und die maus sind hier und dort und der hund ist da ".repeat(3);

test("after any context, the probabilities of all bytes sum to one", () => {
  const model = new ByteNgram(bytes(text), 5);
  for (const context of ["", "d", "und ", "xyz", "der hund", "die katze und d"]) {
    const before = context ? model.bits(bytes(context)) : 0;
    let sum = 0;
    for (let byte = 0; byte < 256; byte++) sum += 2 ** (before - model.bits(Uint8Array.of(...bytes(context), byte)));
    expect(sum).toBeCloseTo(1, 9);
  }
});

test("longer contexts help on text like that it has read, and no byte is impossible", () => {
  const like = bytes("und die katze und der hund sind da ");
  const bits = [1, 2, 5].map((order) => new ByteNgram(bytes(text), order).bits(like) / like.length);
  expect(bits[0]).toBeGreaterThan(bits[1]!);
  expect(bits[1]).toBeGreaterThan(bits[2]!);
  expect(bits[2]).toBeLessThan(2);
  expect(new ByteNgram(bytes(text), 5).bits(Uint8Array.of(0, 255, 7))).toBeLessThan(60);
});
