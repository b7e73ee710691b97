/** Builds the CPU engine's kernels, `kernels/native/*.c`, into one shared library that needs nothing but libc. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findC } from "./compiler.mjs";
import { run, say } from "./process.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const suffix = { darwin: "dylib", win32: "dll" }[process.platform] ?? "so";

/** Where the library lies. */
export const nativeLibrary = join(root, `node_modules/.lola/liblolakernels.${suffix}`);

/**
 * Compiles the library when it is missing or its sources changed.
 * @returns {Promise<{path?: string, reason?: string, worked: boolean}>} the library, or one line that says why there is none
 */
export async function buildNative() {
  const folder = join(root, "kernels/native");
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /\.[ch]$/.test(name))
        .sort()
    : [];
  if (names.length === 0) return { reason: "no sources", worked: false };
  const hash = createHash("sha256");
  for (const name of names) hash.update(name).update(readFileSync(join(folder, name)));
  const key = hash.digest("hex");
  const stamp = `${nativeLibrary}.stamp`;
  if (existsSync(nativeLibrary) && existsSync(stamp) && readFileSync(stamp, "utf8") === key) {
    return { path: nativeLibrary, worked: false };
  }
  const compiler = findC();
  if (!compiler) return { reason: "no C compiler", worked: false };
  say("building the CPU kernels");
  mkdirSync(dirname(nativeLibrary), { recursive: true });
  const partial = `${nativeLibrary}.${process.pid}`;
  const sources = names.filter((name) => name.endsWith(".c")).map((name) => join(folder, name));
  const built = await run(compiler, ["-O3", "-shared", "-fPIC", "-pthread", "-o", partial, ...sources, "-lm"]);
  if (built.code !== 0) return { reason: built.output.trim().split("\n")[0], worked: true };
  renameSync(partial, nativeLibrary);
  writeFileSync(stamp, key);
  return { path: nativeLibrary, worked: true };
}
