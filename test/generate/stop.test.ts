/** Stop strings: found across pieces, never leaked, and nothing else lost. */
import { expect, test } from "bun:test";
import { StopFilter } from "../../src/generate/stop.ts";

function run(stops: string[], pieces: string[]) {
  const filter = new StopFilter(stops);
  const streamed = pieces.map((piece) => filter.push(piece));
  return { streamed, text: streamed.join("") + filter.end(), found: filter.found };
}

test("a stop string is found wherever the pieces are cut", () => {
  const text = "one two STOP three";
  for (let i = 0; i <= text.length; i++)
    for (let j = i; j <= text.length; j++) {
      const result = run(["STOP"], [text.slice(0, i), text.slice(i, j), text.slice(j)]);
      expect(result.text).toBe("one two ");
      expect(result.found).toBe("STOP");
    }
});

test("text that only starts like a stop string comes through", () => {
  const result = run(["aab"], ["a", "a", "a", "c", "aa"]);
  expect(result.text).toBe("aaacaa");
  expect(result.found).toBeUndefined();
  expect(result.streamed).toEqual(["", "", "a", "aac", ""]);
});

test("the earliest of several stop strings ends the text", () => {
  expect(run(["later", "soon"], ["now soon later"])).toMatchObject({ text: "now ", found: "soon" });
});

test("an empty stop string stops nothing", () => {
  expect(run([""], ["text"])).toMatchObject({ text: "text", found: undefined });
});
