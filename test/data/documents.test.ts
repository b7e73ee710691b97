/** Files, folders and stdin → documents with languages; what cannot be read is named with its file and line. */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { findSources } from "../../src/data/sources.ts";
import { coded, documentsOf, folderOf, piped, removeFolders } from "./support.ts";

afterAll(removeFolders);

/** Documents as [language, text]. */
const read = async (paths: string[], ...stdin: (string | Uint8Array)[]) =>
  (await documentsOf(paths, ...stdin)).map(({ language, text }) => [language, text]);

/** Documents of one file with this content. */
const readFile = (name: string, content: string | Uint8Array) => read([join(folderOf({ [name]: content }), name)]);

describe("text", () => {
  test("is cut at blank lines; line ends within a document stay", async () => {
    expect(await readFile("swa.txt", "Habari\nya asubuhi\n\n\n  \nNzuri \n")).toEqual([
      ["swa", "Habari\nya asubuhi"],
      ["swa", "Nzuri "],
    ]);
    expect(await readFile("swa.txt", "a\n\nb")).toHaveLength(2);
    expect(await readFile("swa.txt", "\n\n")).toEqual([]);
    expect(await readFile("swa.txt", "")).toEqual([]);
  });

  test("with a byte order mark and Windows line ends is the same text", async () => {
    expect(await readFile("deu.txt", "\ufeffeins\r\nzwei\r\n\r\ndrei\r\n")).toEqual([
      ["deu", "eins\nzwei"],
      ["deu", "drei"],
    ]);
  });

  test("longer than what is read at once comes whole, wherever it is cut", async () => {
    const paragraphs = Array.from({ length: 400 }, (_, i) => `№ ${i} ${"ü€😀\r\n".repeat(i)}end`);
    const documents = await readFile("x.txt", paragraphs.join("\n\n"));
    expect(documents.map(([, text]) => text)).toEqual(paragraphs.map((text) => text.replaceAll("\r\n", "\n")));
  });

  test("without blank lines is cut at the end of a line, and nothing is lost", async () => {
    const text = `${"word ".repeat(10)}\n`.repeat(60_000);
    const documents = await readFile("eng.txt", text);
    expect(documents.length).toBeGreaterThan(1);
    expect(`${documents.map(([, part]) => part).join("\n")}\n`).toBe(text);
  });
});

describe("JSONL", () => {
  test("tells text and language; the file's name where it does not", async () => {
    const lines = ['{"text": "a\\nb", "lang": "cmn_hans"}', "", '{"lang": "x", "text": ""}', '{"text": "c", "n": [1]}'];
    expect(await readFile("yor.jsonl", lines.join("\n"))).toEqual([
      ["cmn_hans", "a\nb"],
      ["yor", "c"],
    ]);
  });

  const bad: Record<string, [code: string, line: string, says: string]> = {
    "no JSON": ["data.json", "{", "not valid JSON"],
    "a list": ["data.json", "[]", "not an object"],
    null: ["data.json", "null", "not an object"],
    "another key": ["data.text", '{"content": "x", "id": 1}', "keys: content, id"],
    "a text that is a number": ["data.text", '{"text": 5}', "keys: text"],
    "no keys": ["data.text", "{}", "keys: none"],
    "a language that is a path": ["data.language", '{"text": "x", "lang": "../etc"}', '"../etc"'],
    "a language that is a number": ["data.language", '{"text": "x", "lang": 3}', "3"],
  };
  test.each(Object.entries(bad))("%s is refused with file and line", async (_, [code, line, says]) => {
    const reading = readFile("a.jsonl", `{"text": "fine"}\n\n${line}\n{"text": "fine"}\n`);
    await expect(reading).rejects.toEqual(coded(code));
    await expect(reading).rejects.toThrow(/a\.jsonl line 3: /);
    await expect(reading).rejects.toThrow(says);
  });
});

test("bytes that are no UTF-8 are refused with file and line", async () => {
  const lines = Array.from({ length: 70_000 }, (_, i) => `line ${i}\n`);
  for (const at of [0, 1, 54_321, 69_999]) {
    const bytes = Buffer.from(lines.join(""));
    bytes[Buffer.byteLength(lines.slice(0, at).join(""))] = 0xff;
    const reading = readFile("big.txt", bytes);
    await expect(reading).rejects.toEqual(coded("data.utf8"));
    await expect(reading).rejects.toThrow(new RegExp(`big\\.txt line ${at + 1}: not UTF-8`));
  }
});

test("an endless line is refused before memory is full", async () => {
  const reading = readFile("one.jsonl", Buffer.alloc(2 ** 26 + 2 ** 20, "x"));
  await expect(reading).rejects.toEqual(coded("data.line"));
});

describe("compressed files", () => {
  const text = "moja\n\nmbili\n";
  test("are read as what they hold", async () => {
    const folder = folderOf({ "swa.txt.gz": gzipSync(text), "yor.text.zst": zstdCompressSync(text) });
    expect(await read([folder])).toEqual([
      ["swa", "moja"],
      ["swa", "mbili"],
      ["yor", "moja"],
      ["yor", "mbili"],
    ]);
  });

  test("that are cut off or of another kind are refused", async () => {
    const whole = { gz: gzipSync(text), zst: zstdCompressSync(text) };
    for (const [ending, bytes] of Object.entries(whole)) {
      const cut = readFile(`swa.txt.${ending}`, bytes.subarray(0, bytes.length - 5));
      await expect(cut).rejects.toEqual(coded("data.compressed"));
      await expect(readFile(`swa.txt.${ending}`, "no such thing")).rejects.toEqual(coded("data.compressed"));
    }
  });
});

describe("folders", () => {
  test("give each file's language by its name or the folder nearest to it", async () => {
    const folder = folderOf({
      "corpus/swa.txt": "1",
      "corpus/cmn_hans.part-2.txt": "2",
      "corpus/be-tarask/train.txt": "3",
      "corpus/be-tarask/deeper/zul.jsonl": '{"text": "4"}',
      "corpus/Numbers.txt": "5",
      "corpus/notes.md": "not read",
      "corpus/.hidden.txt": "not read",
      "corpus/data.json": "not read",
      "corpus/gz": "not read",
      "corpus/x.constructor": "not read",
    });
    expect((await read([join(folder, "corpus")])).toSorted()).toEqual(
      [
        ["swa", "1"],
        ["cmn_hans", "2"],
        ["be-tarask", "3"],
        ["zul", "4"],
        ["und", "5"],
      ].toSorted(),
    );
    expect(await read([join(folder, "corpus/be-tarask")])).toContainEqual(["be-tarask", "3"]);
  });

  test("come in the same order each time, arguments in theirs", async () => {
    const folder = folderOf({ "b.txt": "2", "a/z.txt": "1", "c.txt": "3" });
    expect((await read([join(folder, "c.txt"), folder])).map(([, text]) => text)).toEqual(["3", "1", "2", "3"]);
  });

  test("without documents, and paths that are not there, are refused", async () => {
    const folder = folderOf({ "README.md": "x" });
    await expect(read([folder])).rejects.toEqual(coded("data.empty"));
    const misuse = expect.objectContaining({ kind: "usage" });
    await expect(read([join(folder, "none.txt")])).rejects.toEqual(misuse);
    await expect(readFile("list.json", "[]")).rejects.toEqual(misuse);
  });
});

describe("stdin", () => {
  test("is JSONL if it begins with a brace, else text", async () => {
    expect(await read(["-"], " \n", '{"text": "a", "lang"', ': "swa"}\n{"text": "b"}')).toEqual([
      ["swa", "a"],
      ["und", "b"],
    ]);
    expect(await read(["-"], "one\n\nt", "wo")).toEqual([
      ["und", "one"],
      ["und", "two"],
    ]);
    expect(await read(["-"])).toEqual([]);
  });

  test("is known by its content", async () => {
    const folder = folderOf({});
    const identity = async (...chunks: string[]) => {
      const [source] = await findSources(["-"], folder, () => piped(...chunks));
      return source!.identity;
    };
    const first = await identity("one", "two");
    expect(await identity("onetwo")).toBe(first);
    expect(await identity("onetwo ")).not.toBe(first);
  });
});
