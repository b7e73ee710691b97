/** Questions of four choices: one right, the others of about its length, the same each time. */
import { expect, test } from "bun:test";
import { choicesOf, halves, some } from "../../weights/recipe/choice.ts";

const pairs = Array.from({ length: 12 }, (_, i) => ({ text: `q${i}`, answer: `${i}`.padEnd(3 + 5 * i, "x") }));

test("each question has its answer at its label, and the three others that are nearest in length", () => {
  const choices = choicesOf("set", pairs);
  expect(choices.map(({ text }) => text)).toEqual(pairs.map(({ text }) => text));
  for (const [i, { choices: four, label }] of choices.entries()) {
    expect(four).toHaveLength(4);
    expect(new Set(four).size).toBe(4);
    expect(four[label]).toBe(pairs[i]!.answer);
    const places = four.map((answer) => pairs.findIndex((pair) => pair.answer === answer));
    expect(Math.max(...places) - Math.min(...places)).toBe(3);
    expect(places.every((place) => Math.abs(place - i) <= 3)).toBe(true);
  }
  // Right answers stand in every place.
  expect(new Set(choices.map(({ label }) => label)).size).toBe(4);
  expect(choicesOf("set", pairs)).toEqual(choices);
  expect(choicesOf("set", pairs.slice(0, 7))).toEqual([]);
});

test("an answer that occurs twice is asked for once, and no choice stands twice", () => {
  const twice = [...pairs, { text: "again", answer: pairs[3]!.answer }];
  const choices = choicesOf("set", twice);
  expect(choices).toHaveLength(12);
  for (const one of choices) expect(new Set(one.choices).size).toBe(4);
});

test("some of them: the same ones whatever else is there", () => {
  const choices = choicesOf("set", pairs);
  const [five, four] = [some(choices, 5), some(choices, 4)];
  expect(five).toHaveLength(5);
  expect(five.filter((one) => four.includes(one))).toEqual(four);
  expect(some(choices.toReversed(), 5).toReversed()).toEqual(five);
});

test("a paragraph is cut before a word behind its middle, in scripts without blanks too", () => {
  expect(halves("All human beings are born free and equal in dignity", "en")).toEqual({
    text: "All human beings are born",
    answer: " free and equal in dignity",
  });
  const japanese = "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。";
  const cut = halves(japanese, "ja")!;
  expect(cut.text + cut.answer).toBe(japanese);
  expect(cut.text.length / japanese.length).toBeCloseTo(0.5, 0);
  expect(halves("Too short for this", "en")).toBeUndefined();
});
