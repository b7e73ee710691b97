/** What the data tests share: folders of files that go away, and documents read from them. */
import { expect } from "bun:test";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Document, readDocuments } from "../../src/data/documents.ts";
import type { ExampleOptions } from "../../src/data/examples.ts";
import { findSources } from "../../src/data/sources.ts";
import { alpaca } from "../../src/data/template.ts";
import { tiny } from "../tokenizer/support.ts";

/** A new folder with these files in it. */
export function folderOf(files: Record<string, string | Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), "lola-data-"));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

const folders: string[] = [];
export async function removeFolders(): Promise<void> {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
}

export async function* piped(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
}

/** All documents of the files that `paths` name. */
export async function documentsOf(paths: string[], ...stdin: (string | Uint8Array)[]): Promise<Document[]> {
  const sources = await findSources(paths, folderOf({}), () => piped(...stdin));
  return Array.fromAsync(readDocuments(sources));
}

export const coded = (code: string) => expect.objectContaining({ name: "LolaError", kind: "data", code });

/** Options to open examples with, the small tokenizer's. */
export function exampleOptions(more: Partial<ExampleOptions> = {}): ExampleOptions {
  const tokenizer = tiny();
  const defaults = {
    context: 4096,
    template: alpaca,
    trainOnPrompt: false,
    tooLong: "error",
    validation: 0.05,
  } as const;
  return { tokenizer, eos: EOS, ...defaults, ...more };
}

/** End-of-text token of the small tokenizer. */
export const EOS = 5;
