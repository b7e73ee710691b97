/** What is wrong with data is told before the first step: a small file for each mistake, and what is said of it, word for word. */
import { afterAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DataError } from "../../src/base/errors.ts";
import { openExamples } from "../../src/data/examples.ts";
import { exampleFormats } from "../../src/data/formats/read.ts";
import { findSources } from "../../src/data/sources.ts";
import { exampleOptions, folderOf, piped, removeFolders } from "./support.ts";

afterAll(removeFolders);

const folder = join(import.meta.dir, "bad");
/** File → code, message and hint. */
const golden = JSON.parse(readFileSync(join(import.meta.dir, "bad.json"), "utf8")) as Record<string, string[]>;

/** What is said of a file; those named stdin… are piped. */
async function saidOf(name: string): Promise<string[]> {
  const stdin = () => piped(readFileSync(join(folder, name)));
  const path = name.startsWith("stdin") ? "-" : join(folder, name);
  const sources = await findSources([path], folderOf({}), stdin, exampleFormats);
  const named = sources.map((source) => ({ ...source, label: source.label === "stdin" ? "stdin" : name }));
  const error = await openExamples(named, exampleOptions({ context: 64 })).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DataError);
  const { code, message, hint } = error as DataError;
  return [code, message, ...(hint === undefined ? [] : [hint])];
}

test("every file is on the list, and no other", () => {
  expect(readdirSync(folder).sort()).toEqual(Object.keys(golden).sort());
  expect(Object.keys(golden).length).toBeGreaterThanOrEqual(25);
});

test.each(readdirSync(folder))("%s", async (name) => {
  expect(await saidOf(name)).toEqual(golden[name]!);
});
