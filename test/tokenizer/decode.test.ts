/** Streaming decode: only whole characters come out, whatever the tokens cut. */

import { describe, expect, test } from "bun:test";
import { StreamDecoder } from "../../src/tokenizer/decode.ts";
import { dice, tiny } from "./support.ts";

/** A decoder over pieces of bytes: token i is pieces[i]. */
const over = (pieces: readonly Uint8Array[]) =>
  new StreamDecoder({ bytes: (id) => pieces[id]!, isSpecial: () => false });

function* run(pieces: readonly Uint8Array[]): Generator<string> {
  const stream = over(pieces);
  for (let id = 0; id < pieces.length; id++) yield stream.push(id);
  yield stream.end();
}

const whole = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** Every way to cut n bytes into pieces in order. */
function splits(bytes: Uint8Array): Uint8Array[][] {
  return Array.from({ length: 1 << (bytes.length - 1) }, (_, cuts) => {
    const pieces: Uint8Array[] = [];
    let from = 0;
    for (let i = 1; i <= bytes.length; i++) {
      if (i < bytes.length && !((cuts >> (i - 1)) & 1)) continue;
      pieces.push(bytes.subarray(from, i));
      from = i;
    }
    return pieces;
  });
}

test("every split of characters of all planes", () => {
  const utf8 = new TextEncoder();
  const edges = [0x80, 0x7ff, 0x800, 0xfeff, 0xfffd, 0xffff, 0x10000, 0x10ffff];
  const sample = Array.from({ length: Math.floor(0x110000 / 61) }, (_, i) => 0x80 + 61 * i);
  let planes = 0;
  for (const code of [...edges, ...sample]) {
    if (code > 0x10ffff || (code & 0x1ff800) === 0xd800) continue;
    planes |= 1 << (code >> 16);
    const character = String.fromCodePoint(code);
    for (const pieces of splits(utf8.encode(character))) {
      const parts = [...run(pieces)];
      const expected = pieces.map((_, i) => (i === pieces.length - 1 ? character : ""));
      if (!Bun.deepEquals(parts, [...expected, ""])) expect([code, parts]).toEqual([code, [...expected, ""]]);
    }
  }
  expect(planes).toBe(0x1ffff);
});

test("random bytes in random pieces: each part is text of the whole, at most three bytes late", () => {
  const roll = dice(3n);
  const bytes = [
    0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xc3, 0xa9, 0xe0, 0xa0, 0xe4, 0xb8, 0xad, 0xed, 0xef, 0xbb, 0xf0, 0x9f, 0x98, 0x80,
    0xf4, 0xf5, 0xff,
  ];
  for (let i = 0; i < 5000; i++) {
    const pieces = Array.from({ length: 1 + roll(8) }, () =>
      Uint8Array.from({ length: roll(4) }, () => bytes[roll(bytes.length)]!),
    );
    const all = Buffer.concat(pieces);
    let text = "";
    let read = 0;
    let index = 0;
    for (const part of run(pieces)) {
      text += part;
      read += pieces[index++]?.length ?? 0;
      // What is certain after these bytes: the text that no further byte can change.
      const certain = ["A", "\x80", "\x98\x80", "\xad\x80\x80"].map((tail) =>
        whole(Buffer.concat([all.subarray(0, read), Buffer.from(tail, "latin1")])),
      );
      if (index <= pieces.length) for (const one of certain) expect(one.startsWith(text)).toBe(true);
    }
    expect(text).toBe(whole(all));
  }
});

describe("broken bytes", () => {
  const parts = (...pieces: number[][]) => [...run(pieces.map((piece) => Uint8Array.from(piece)))];

  test("in the middle become U+FFFD as soon as they are known to be broken", () => {
    expect(parts([0xe4], [0x41])).toEqual(["", "\ufffdA", ""]);
    expect(parts([0xf0], [0x80], [0x41])).toEqual(["", "\ufffd\ufffd", "A", ""]);
    expect(parts([0xff], [0x41])).toEqual(["\ufffd", "A", ""]);
    expect(parts([0xe4, 0xb8], [0xe4, 0xb8], [0xad])).toEqual(["", "\ufffd", "中", ""]);
  });

  test("at the end become U+FFFD only there", () => {
    expect(parts([0x41, 0xe4], [0xb8])).toEqual(["A", "", "\ufffd"]);
    expect(parts([0xf0, 0x9f, 0x98])).toEqual(["", "\ufffd"]);
  });

  test("after the end the decoder is as new", () => {
    const stream = over([Uint8Array.of(0xe4, 0xb8), Uint8Array.of(0xad)]);
    expect([stream.push(0), stream.end(), stream.push(0), stream.push(1), stream.end()]).toEqual([
      "",
      "\ufffd",
      "",
      "中",
      "",
    ]);
  });
});

test("a byte order mark is text", () => {
  expect(tiny().decode(tiny().encode("\ufeffa"))).toBe("\ufeffa");
});

test("a skipped special token does not break the character around it", () => {
  const tokenizer = tiny();
  const [a, b, c] = [0xe4, 0xb8, 0xad].map((byte) => {
    for (let id = 0; ; id++) if (tokenizer.bytes(id).length === 1 && tokenizer.bytes(id)[0] === byte) return id;
  }) as [number, number, number];
  expect(tokenizer.decode([a, b, 5, c], { skipSpecials: true })).toBe("中");
  expect(tokenizer.decode([a, b, 5, c])).toBe("\ufffd<|endoftext|>\ufffd");
});
