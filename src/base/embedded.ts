/** The files that ship inside the binary: the same calls work there and in a checkout. */
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { dawnPath, declarationPath, languagesPath, modelLabel, modelPath, nativePath } from "./assets.ts";
import { LolaError } from "./errors.ts";
import { places } from "./paths.ts";

/** Path of the CPU engine's kernel library, to open with `openLibrary`; undefined where it could not be built. */
export function nativeLibrary(): string | undefined {
  return nativePath;
}

/** Path of the embedded Dawn, to open with `openLibrary`; undefined in a checkout, where bun-webgpu finds its own. */
export function dawnLibrary(): string | undefined {
  return dawnPath;
}

/** The default model as the bytes of a `.lola` file, with its name; undefined where none was embedded. */
export function embeddedModel(): { bytes: Uint8Array; label: string } | undefined {
  if (!modelPath || !modelLabel) return undefined;
  return { bytes: readFileSync(modelPath), label: modelLabel };
}

/** Path of the built-in held-out text, JSONL in zstd; undefined where none was embedded. */
export function embeddedDeclaration(): string | undefined {
  return declarationPath;
}

/** Path of the table of languages, JSONL in zstd; undefined where none was embedded. */
export function embeddedLanguages(): string | undefined {
  return languagesPath;
}

/**
 * Opens a shared library by path. The runtime copies an embedded library to the temporary folder before it is loaded, which
 * fails where that folder is missing or mounted noexec: then the library is copied to the cache folder and opened there.
 * @param open loads the library at a path, and throws if it cannot
 * @throws LolaError device, when neither folder can hold it
 */
export function openLibrary<T>(path: string, open: (path: string) => T): T {
  try {
    return open(path);
  } catch (first) {
    if (!isEmbedded(path)) throw first;
    try {
      return open(copyToCache(path));
    } catch (second) {
      const reason = second instanceof Error ? second.message : String(second);
      throw new LolaError(
        "device",
        `cannot load ${basename(path)} from the temporary folder, nor from ${places().cache}: ${reason}`,
        "TMPDIR=DIR lola …, with a folder that exists and is not mounted noexec",
        { cause: second },
      );
    }
  }
}

/** Files inside a compiled binary have paths under a virtual root, `/$bunfs/` or `B:\~BUN\`. */
function isEmbedded(path: string): boolean {
  return path.includes("$bunfs") || path.includes("~BUN");
}

/** The embedded name holds a hash of the contents, so a file of that name and size is that file; the folder is the user's own. */
function copyToCache(path: string): string {
  const bytes = readFileSync(path);
  const folder = places().cache;
  const target = join(folder, basename(path));
  if (statSync(target, { throwIfNoEntry: false })?.size === bytes.length) return target;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const partial = `${target}.${process.pid}`;
  writeFileSync(partial, bytes);
  chmodSync(partial, 0o700);
  renameSync(partial, target);
  return target;
}
