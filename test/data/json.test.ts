/** Finding values in JSON text without parsing them: the same ones that a parser finds, and no text is too odd. */
import { expect, test } from "bun:test";
import { children, duplicateKey, ScanError, skipBlanks } from "../../src/data/formats/json-scan.ts";
import { dice } from "../tokenizer/support.ts";

const words = ["", "a", '"', "\\", '\\"', "]", "}{", "é😀", "\n", "1,2", ":"];

function randomValue(roll: (n: number) => number, depth: number): unknown {
  const kind = roll(depth > 0 ? 6 : 4);
  if (kind === 0) return roll(2) ? null : true;
  if (kind === 1) return -roll(1000) / 8;
  if (kind < 4) return words[roll(words.length)]! + words[roll(words.length)]!;
  const values = Array.from({ length: roll(4) }, () => randomValue(roll, depth - 1));
  return kind === 4 ? values : Object.fromEntries(values.map((value) => [words[roll(words.length)]!, value]));
}

/** Values of a list, or keys and values of an object, as the spans say. */
function spanned(text: string): unknown[] {
  return [...children(text, skipBlanks(text, 0))].map(({ key, start, end }) => {
    const value = JSON.parse(text.slice(start, end));
    return key === undefined ? value : [JSON.parse(key), value];
  });
}

test("children are those that a parser finds, however the text is spaced", () => {
  const roll = dice(11n);
  for (let i = 0; i < 500; i++) {
    const list = Array.from({ length: roll(5) }, () => randomValue(roll, 3));
    const object = Object.fromEntries(list.map((value, j) => [words[j]!, value]));
    for (const space of ["", "  ", "\t"]) {
      expect(spanned(JSON.stringify(list, null, space))).toEqual(list);
      expect(spanned(` ${JSON.stringify(object, null, space)}\n`)).toEqual(Object.entries(object));
    }
  }
});

test("damaged text is refused or told by the parser of its parts; nothing else happens", () => {
  const roll = dice(12n);
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const text = JSON.stringify([randomValue(roll, 3), randomValue(roll, 3)], null, roll(2));
    const at = 1 + roll(text.length - 1);
    const damaged = roll(2) ? text.slice(0, at) : text.slice(0, at) + '"\\,:[]{}x'[roll(9)] + text.slice(at + 1);
    try {
      spanned(damaged);
    } catch (error) {
      if (!(error instanceof SyntaxError)) expect(error).toBeInstanceOf(ScanError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1500);
});

test("depth costs no stack", () => {
  const deep = `[${"[".repeat(1e6)}${"]".repeat(1e6)}]`;
  expect([...children(deep, 0)]).toEqual([{ key: undefined, start: 1, end: 2e6 + 1 }]);
});

test("keys that come twice are found, others with the same letters are not", () => {
  const of = (text: string) => duplicateKey(text, Object.keys(JSON.parse(text)));
  expect(of('{"a": 1, "b": 2, "a": 3}')).toBe("a");
  expect(of('{"a": 1, "\\u0061": 3, "b": "a"}')).toBe("a");
  expect(of('{"a": "a", "b": {"a": 1, "b": [{"a": 2}]}, "\\"a\\"": 2}')).toBeUndefined();
});
