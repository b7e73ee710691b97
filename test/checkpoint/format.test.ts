/** One attack for each rule of FORMAT.md: each is a whole file that is valid but for that rule. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Packr } from "msgpackr";
import { DataError } from "../../src/base/errors.ts";
import { sha256, xxh64 } from "../../src/base/hash.ts";
import { encode } from "../../src/checkpoint/msgpack.ts";
import { zstd } from "../../src/checkpoint/zstd.ts";
import {
  type Header,
  putTogether,
  type Row,
  readAll,
  takeApart,
  timed,
  tinyConfig,
  tinyFile,
  tinyTokenizer,
} from "./tiny.ts";

const valid = await tinyFile();
const packed = await tinyFile("f16");
const quantized = await tinyFile("q4_32");
const deepFile = await tinyFile("f32", {}, 1, { ...tinyConfig, layers: 6 });
const utf8 = new TextEncoder();
const loose = new Packr({ useRecords: false, variableMapSize: true });

/** A copy of the valid file with some bytes changed. */
function patched(change: (file: Uint8Array, view: DataView) => void): Uint8Array {
  const file = valid.slice();
  change(file, new DataView(file.buffer));
  return file;
}

/** The valid file with another value in its header. */
function withHeader(change: (header: Header) => void, file = valid): Uint8Array {
  const { chunks, header } = takeApart(file);
  change(header);
  return putTogether(chunks, encode(header));
}

/** The valid file with its header's bytes replaced. */
function withBytes(...parts: (Uint8Array | number[] | string)[]): Uint8Array {
  const bytes = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? utf8.encode(part) : Uint8Array.from(part))),
  );
  return putTogether(takeApart(valid).chunks, bytes);
}

/** The valid file with one chunk's stored bytes replaced, in place: lengths and hash are told as given. */
function withChunk(stored: Uint8Array, codec: string, raw: number, tensor = 0): Uint8Array {
  const { chunks, header } = takeApart(valid);
  const rows = header.tensors.map((row) => row[4][0]!);
  const starts = [0];
  for (const [, length] of rows) starts.push(starts.at(-1)! + Math.ceil(length / 256) * 256);
  const gap = new Uint8Array((256 - (stored.length % 256)) % 256);
  rows[tensor]!.splice(0, 4, codec, stored.length, raw, xxh64(stored));
  return putTogether(
    Buffer.concat([chunks.subarray(0, starts[tensor]), stored, gap, chunks.subarray(starts[tensor + 1])]),
    encode(header),
  );
}

/** Replaces the first row whose tensor has that name. */
const row = (header: Header, name = "wte.weight"): Row => header.tensors.find((tensor) => tensor[0] === name)!;

/** A routing profile of the tiny model's one layer of two experts, as a header lists it. */
const profile = (): unknown[] => [
  ["eng", [[10, 0]]],
  ["swa", [[3, 7]]],
];

const withProfile = (routing: unknown, file = valid): Uint8Array =>
  withHeader((header) => {
    header.optional.push("routing");
    Object.assign(header.meta, { routing });
  }, file);

const deep = (levels: number): Uint8Array => new Uint8Array(levels).fill(0x91);

/** Rule → files that break it and nothing before it. */
const attacks: Record<string, Record<string, () => Uint8Array>> = {
  P1: {
    "another magic": () => patched((file) => (file[1] = 0x6c)),
    "line feed turned into CR LF": () => Buffer.concat([valid.subarray(0, 5), utf8.encode("\r\n"), valid.subarray(6)]),
  },
  P2: {
    "version 2": () => patched((_, view) => view.setUint16(6, 2, true)),
    "version 0": () => patched((_, view) => view.setUint16(6, 0, true)),
  },
  P3: { "something hidden after the preamble": () => patched((file) => (file[200] = 1)) },
  P4: {
    "a header of 16 MiB + 1": () => patched((_, view) => view.setBigUint64(16, (16n << 20n) + 1n, true)),
    "a header of 2^64 - 1": () => patched((_, view) => view.setBigUint64(16, 2n ** 64n - 1n, true)),
  },
  P5: {
    "one byte too many": () => Buffer.concat([valid, Uint8Array.of(0)]),
    "one byte too few": () => valid.subarray(0, -1),
    "half of it": () => valid.subarray(0, valid.length >> 1),
    "shorter than the preamble": () => valid.subarray(0, 100),
    nothing: () => new Uint8Array(0),
    "a header inside the preamble": () => patched((_, view) => view.setBigUint64(8, 0n, true)),
    "a header at 2^64 - 256": () => patched((_, view) => view.setBigUint64(8, 2n ** 64n - 256n, true)),
    "sums that wrap around": () =>
      patched((file, view) => {
        view.setBigUint64(8, 2n ** 64n - 1024n, true);
        view.setBigUint64(16, BigInt(file.length) + 1024n, true);
      }),
  },
  P6: {
    "a flipped bit in the header": () => patched((file) => (file[file.length - 10]! ^= 1)),
    "a flipped bit in the hash": () => patched((file) => (file[30]! ^= 1)),
  },
  H1: {
    null: () => withBytes([0xc0]),
    "a negative integer": () => withBytes([0xff]),
    "a 64-bit integer": () => withBytes([0xcf, 0, 0, 0, 0, 0, 0, 0, 1]),
    "binary of 2 GiB": () => withBytes([0xc6, 0x7f, 0xff, 0xff, 0xff]),
    "a float32": () => withBytes([0xca, 0, 0, 0, 0]),
    "an extension": () => withBytes([0xd4, 1, 0]),
    "an extension of 4 GiB": () => withBytes([0xc9, 0xff, 0xff, 0xff, 0xff, 1]),
    "the unused tag": () => withBytes([0xc1]),
  },
  H2: {
    "5 as uint8": () => withBytes([0x91, 0xcc, 5]),
    "200 as uint16": () => withBytes([0x91, 0xcd, 0, 200]),
    "60,000 as uint32": () => withBytes([0x91, 0xce, 0, 0, 0xea, 0x60]),
    "a short string as str8": () => withBytes([0x91, 0xd9, 1, 0x61]),
    "an array of 1 as array16": () => withBytes([0xdc, 0, 1, 0]),
    "a map of 1 as map32": () => withBytes([0xdf, 0, 0, 0, 1, 0xa1, 0x61, 0]),
    "1 as a float": () => withBytes([0x91, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
    NaN: () => withBytes([0x91, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
    infinity: () => withBytes([0x91, 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]),
  },
  H3: {
    "a key twice": () => withBytes([0x82, 0xa1, 0x61, 0, 0xa1, 0x61, 0]),
    "keys out of order": () => withBytes([0x82, 0xa1, 0x62, 0, 0xa1, 0x61, 0]),
    "a number as key": () => withBytes([0x81, 0, 0]),
    "an array as key": () => withBytes([0x81, 0x90, 0]),
    __proto__: () => withBytes([0x81, 0xa9], "__proto__", [0]),
    "an empty key": () => withBytes([0x81, 0xa0, 0]),
    "a key of 129 bytes": () => withBytes([0x81, 0xd9, 129], "k".repeat(129), [0]),
  },
  H4: {
    "a lone continuation byte": () => withBytes([0x91, 0xa1, 0x80]),
    "an overlong form": () => withBytes([0x91, 0xa2, 0xc0, 0xaf]),
    "a surrogate": () => withBytes([0x91, 0xa3, 0xed, 0xa0, 0x80]),
  },
  H5: {
    "9 levels": () => withBytes(deep(9), [0]),
    "2,000,000 levels": () => withBytes(deep(2_000_000), [0]),
  },
  H6: {
    "an array of 2^32 - 1": () => withBytes([0xdd, 0xff, 0xff, 0xff, 0xff]),
    "a map of 2^32 - 1": () => withBytes([0xdf, 0xff, 0xff, 0xff, 0xff]),
    "one item more than bytes": () => withBytes([0x92, 0]),
    "a map that needs twice its count": () => withBytes([0x82, 0xa0, 0xa0]),
    "2 million values": () => withBytes([0xdd, 0, 0x1e, 0x84, 0x80], new Uint8Array(2_000_000)),
  },
  H7: {
    "a string beyond the end": () => withBytes([0x91, 0xa5, 0x61]),
    "a string of 4 GiB": () => withBytes([0x91, 0xdb, 0xff, 0xff, 0xff, 0xff]),
    "a cut length": () => withBytes([0x91, 0xdb, 0xff]),
    "a cut float": () => withBytes([0x91, 0xcb, 0x3f]),
    "an empty header": () => withBytes([]),
  },
  H8: { "a second value": () => withBytes(encode(takeApart(valid).header), [0]) },
  H9: {
    "a field too many": () => withHeader((header) => Object.assign(header, { extra: 1 })),
    "a field too few": () => withHeader((header) => Reflect.deleteProperty(header, "required")),
    "a string instead of a list": () => withHeader((header) => Object.assign(header, { tensors: "none" })),
    "a tensor row of four": () => withHeader((header) => row(header).pop()),
    "a hash in capitals": () => withHeader((header) => (row(header)[3] = "A".repeat(64))),
    "a short chunk hash": () => withHeader((header) => (row(header)[4][0]![3] = "00")),
    "a length with a fraction": () => withHeader((header) => (row(header)[4][0]![1] = 1.5)),
    "an array as header": () => withBytes([0x90]),
    "a field of meta that is no announced feature's": () =>
      withHeader((header) => Object.assign(header.meta, { routing: profile() })),
    "counts that are no numbers": () => withProfile([["swa", [["1", 2]]]]),
    "provenance without notes": () => withHeader((header) => Reflect.deleteProperty(header.meta.provenance, "notes")),
  },
  H10: { "a feature from the future": () => withHeader((header) => header.required.push("sparse")) },
  H11: { "another kind": () => withHeader((header) => (header.kind = "adapter")) },
  H12: {
    "quantized tensors that are not announced": () => withHeader((header) => header.required.pop(), quantized),
    "quantized tensors announced twice": () => withHeader((header) => header.required.push("quantized"), quantized),
    "announced, and none there": () => withHeader((header) => header.required.push("quantized")),
  },
  R1: {
    "no language": () => withProfile([]),
    "a language without a name": () => withProfile([["", [[1, 2]]]]),
    "a language of 33 bytes": () => withProfile([["a".repeat(33), [[1, 2]]]]),
    "a path": () => withProfile([["../swa", [[1, 2]]]]),
    "languages out of order": () => withProfile(profile().toReversed()),
    "a language twice": () => withProfile([profile()[0]!, profile()[0]!]),
  },
  R2: {
    "a layer too many": () => withProfile([["swa", Array(2).fill([1, 2])]]),
    "no layers": () => withProfile([["swa", []]]),
    "an expert too few": () => withProfile([["swa", [[3]]]]),
    "no tokens": () => withProfile([["swa", [[0, 0]]]]),
    "tokens that one layer lost": () => withProfile([["swa", [...Array(2).fill([1, 2]), [1, 1]]]], deepFile),
  },
  T1: {
    "a path": () => withHeader((header) => (row(header)[0] = "../../etc/passwd")),
    "no name": () => withHeader((header) => (row(header)[0] = "")),
    "129 bytes": () => withHeader((header) => (row(header)[0] = "a".repeat(129))),
    capitals: () => withHeader((header) => (row(header)[0] = "WTE.weight")),
  },
  T2: { "a tensor twice": () => withHeader((header) => (row(header, "wpe.weight")[0] = "wte.weight")) },
  T3: {
    f64: () => withHeader((header) => (row(header)[1] = "f64")),
    "a property of every object": () => withHeader((header) => (row(header)[1] = "toString")),
    "a group that is none": () => withHeader((header) => (row(header)[1] = "q4_16"), quantized),
  },
  T4: {
    "9 dimensions": () => withHeader((header) => (row(header)[2] = [1, 1, 1, 1, 1, 1, 1, 24, 8])),
    "an empty dimension": () => withHeader((header) => (row(header)[2] = [0, 8])),
    "a product of 2^64": () => withHeader((header) => (row(header)[2] = [2 ** 31, 2 ** 31, 4])),
    "scales beyond 2^53": () =>
      withHeader((header) => row(header).splice(1, 2, "q8_32", [2 ** 31, 2 ** 22 - 1]), quantized),
  },
  T5: {
    "a shape larger than its chunks": () => withHeader((header) => (row(header)[2] = [25, 8])),
    "no chunks": () => withHeader((header) => (row(header)[4] = [])),
    "a wider type": () => withHeader((header) => (row(header)[1] = "f32"), packed),
    "more bits": () => withHeader((header) => (row(header)[1] = "q8_32"), quantized),
    "larger groups": () => withHeader((header) => (row(header)[1] = "q4_64"), quantized),
  },
  T6: {
    "a quantized gate": () => withHeader((header) => (row(header, "h.1.moe.gate.weight")[1] = "q4_32"), quantized),
    "quantized positions": () => withHeader((header) => (row(header, "wpe.weight")[1] = "q8_64"), quantized),
    "a quantized norm": () => withHeader((header) => (row(header, "h.0.ln_1.weight")[1] = "q4_32"), quantized),
    "a quantized bias": () => withHeader((header) => (row(header, "h.0.mlp.c_fc.bias")[1] = "q4_32"), quantized),
    "three dimensions": () => withHeader((header) => (row(header)[2] = [24, 4, 2]), quantized),
  },
  C1: { "an unknown codec": () => withHeader((header) => (row(header)[4][0]![0] = "brotli")) },
  C2: {
    "17 MiB raw": () => withHeader((header) => (row(header)[4][0]![2] = 17 << 20)),
    "nothing stored": () => withHeader((header) => (row(header)[4][0]![1] = 0)),
    "nothing raw": () => withHeader((header) => (row(header)[4][0]![2] = 0)),
    "raw with two lengths": () => withHeader((header) => (row(header)[4][0]![0] = "raw")),
    "zstd that grew": () => withHeader((header) => (row(header)[4][0]![1] = row(header)[4][0]![2])),
  },
  C3: {
    "a chunk that ends within an element": () =>
      withHeader((header) => {
        const [chunk] = row(header)[4];
        row(header)[4] = [
          ["raw", 255, 255, chunk![3]],
          ["raw", 513, 513, chunk![3]],
        ];
      }),
  },
  C4: {
    "a gap before the header": () => {
      const { chunks, header } = takeApart(valid);
      return putTogether(Buffer.concat([chunks, new Uint8Array(256)]), encode(header));
    },
    "chunks that reach into the header": () => {
      const { chunks, header } = takeApart(valid);
      return putTogether(chunks.subarray(0, -256), encode(header));
    },
    "chunks of 16 MiB in a small file": () =>
      withHeader((header) => {
        row(header)[2] = [4 << 20];
        row(header)[4] = [["raw", 16 << 20, 16 << 20, "0".repeat(16)]];
      }),
  },
  L1: {
    "no layers": () => withHeader((header) => (header.meta.config.layers = 0)),
    "2^30 layers": () => withHeader((header) => (header.meta.config.layers = 2 ** 30)),
  },
  L2: {
    "a tensor left out": () => withHeader((header) => (row(header)[0] = "wtf.weight")),
    "more experts than tensors": () => withHeader((header) => (header.meta.config.experts = 4096)),
  },
  L3: { "a config of fewer experts": () => withHeader((header) => (header.meta.config.layers = 1)) },
  L4: {
    "a transposed matrix": () => withHeader((header) => (row(header)[2] = [8, 24])),
    "a larger vocabulary": () => withHeader((header) => (header.meta.config.vocabulary = 25)),
  },
  D1: {
    "something hidden after a chunk": () => {
      const { chunks, header } = takeApart(valid);
      chunks[row(header)[4][0]![1]] = 1;
      return putTogether(chunks, encode(header));
    },
  },
  D2: { "a flipped bit": () => patched((file) => (file[256]! ^= 1)) },
  D3: {
    "no zstd frame": () => withChunk(new Uint8Array(100).fill(7), "zstd", 768),
    "a frame of too little": () => withChunk(zstd().compress(new Uint8Array(767), 1).slice(), "zstd", 768),
    "a frame of too much": () => withChunk(zstd().compress(new Uint8Array(769), 1).slice(), "zstd", 768),
    "a cut frame": () => withChunk(zstd().compress(new Uint8Array(768), 1).slice(0, -1), "zstd", 768),
    "two frames": () => {
      const frame = zstd().compress(new Uint8Array(768), 1).slice();
      return withChunk(Buffer.concat([frame, frame]), "zstd", 768);
    },
  },
  D4: { "another content with good chunk hashes": () => withHeader((header) => (row(header)[3] = "0".repeat(64))) },
};

/** Rule → code, as FORMAT.md has them. */
const rules = new Map(
  [
    ...readFileSync(join(import.meta.dir, "../../src/checkpoint/FORMAT.md"), "utf8").matchAll(
      /^\| ([A-Z]\d+) \|.*\| ([a-z.]+) \|$/gm,
    ),
  ].map((match) => [match[1]!, match[2]!]),
);

test("FORMAT.md and the attacks name the same rules", () => {
  expect(Object.keys(attacks).sort()).toEqual([...rules.keys()].sort());
});

for (const [rule, files] of Object.entries(attacks)) {
  describe(`${rule}: ${rules.get(rule)}`, () => {
    for (const [name, make] of Object.entries(files))
      test(name, () => expect(codeOf(make(), rule === "D4")).toBe(rules.get(rule)!));
  });
}

test("what is valid is read", () => {
  const model = readAll(valid, true);
  expect(model.config).toEqual(tinyConfig);
  expect(model.tokenizer).toEqual(tinyTokenizer);
  expect(model.notes).toEqual([]);
  readAll(packed, true);
  readAll(quantized, true);
});

test("an optional feature from the future is told and ignored, its field with it", () => {
  const bare = withHeader((header) => header.optional.push("index"));
  const full = withHeader((header) => {
    header.optional.push("index");
    Object.assign(header.meta, { index: [1, 2] });
  });
  for (const file of [bare, full]) expect(readAll(file, true).notes.join()).toContain("index");
});

test("msgpackr alone would have taken a header that the scan refuses", () => {
  expect(loose.unpack(Uint8Array.of(0x91, 0xcc, 5))).toEqual([5]);
});

test("ten bombs are refused in less than 50 ms and 32 MiB", () => {
  const zeros = (length: number) => zstd().compress(new Uint8Array(length), 3).slice();
  const forged = zeros(16 << 20);
  // The content size in the frame's own header: 32 bits at byte 5 of a single-segment frame.
  new DataView(forged.buffer).setUint32(forged.length > 9 ? 5 : 0, 768, true);
  const bombs: Uint8Array[] = [
    withChunk(zeros(16 << 20), "zstd", 768),
    withChunk(zeros(16 << 20), "planes", 768),
    withChunk(zeros(128 << 20), "zstd", 768),
    withChunk(Buffer.concat(Array.from({ length: 8 }, () => zeros(16 << 20))), "zstd", 768 << 8),
    withChunk(forged, "zstd", 768),
    withHeader((header) => (row(header)[4][0]![2] = 2 ** 31)),
    withHeader((header) => (row(header)[2] = [2 ** 31, 2 ** 20])),
    withHeader((header) => Object.assign(header.meta.config, { layers: 1024, experts: 4096 })),
    withBytes([0xdd, 0x7f, 0xff, 0xff, 0xff]),
    withBytes(new Uint8Array(4 << 20).fill(0x91)),
  ];
  for (const bomb of bombs) {
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    expect(timed(() => expect(codeOf(bomb)).not.toBe("accepted"), 50)).toBeLessThan(50);
    expect(process.memoryUsage.rss() - before).toBeLessThan(32 << 20);
  }
});

test("identity does not depend on compression, and does on content and type", async () => {
  const raw = readAll(await tinyFile("f32", { store: "raw" }), true);
  expect(raw.identity).toBe(readAll(valid).identity);
  expect(raw.identity).not.toBe(readAll(await tinyFile("f32", {}, 2)).identity);
  expect(raw.identity).not.toBe(readAll(packed).identity);
  expect(sha256(await tinyFile())).toBe(sha256(valid));
});

function codeOf(file: Uint8Array, verify = false): string {
  try {
    readAll(file, verify);
    return "accepted";
  } catch (error) {
    if (error instanceof DataError) return error.code;
    throw error;
  }
}
