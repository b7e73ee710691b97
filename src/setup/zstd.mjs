/**
 * Builds zstd-napi's addon from the sources in its package, with nothing but a compiler: its own install script would fetch
 * a prebuilt file from GitHub, or need Python and make. The Node-API headers come from `node-api-headers`.
 */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { compileAll, findC, findCpp } from "./compiler.mjs";
import { mustRun } from "./process.mjs";

const defines = [
  "XXH_NAMESPACE=ZSTD_",
  "ZSTDERRORLIB_VISIBLE=",
  "ZSTDLIB_VISIBLE=",
  "ZSTD_MULTITHREAD",
  "ZSTD_NO_TRACE",
  "NDEBUG",
  "NAPI_VERSION=8",
  "NODE_ADDON_API_DISABLE_DEPRECATED",
  "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
  "NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED",
].map((define) => `-D${define}`);

/** Where zstd-napi looks for its addon. */
export function zstdAddon(root) {
  return join(root, "node_modules/zstd-napi/build/Release/binding.node");
}

/**
 * Compiles and links the addon.
 * @returns undefined when it is built, else one line that says why it is not
 */
export async function buildZstd(root) {
  const c = findC();
  const cpp = findCpp();
  if (!c || !cpp) return "no C++ compiler";
  const modules = join(root, "node_modules");
  const zstd = join(modules, "zstd-napi/deps/zstd/lib");
  const includes = [zstd, join(modules, "node-addon-api"), join(modules, "node-api-headers/include")];
  const flags = ["-O3", "-fPIC", "-fvisibility=hidden", ...defines, ...includes.map((folder) => `-I${folder}`)];
  const scratch = mkdtempSync(join(tmpdir(), "lola-zstd-"));
  try {
    const sources = ["common", "compress", "decompress"].flatMap((part) => filesIn(join(zstd, part), /\.[cS]$/));
    sources.push(...filesIn(join(modules, "zstd-napi/src"), /\.cc$/));
    const objects = sources.map((source) => join(scratch, `${basename(source)}.o`));
    await compileAll(
      sources.map((source, i) => ({
        compiler: extname(source) === ".cc" ? cpp : c,
        args: [...flags, ...(extname(source) === ".cc" ? ["-std=c++17"] : []), "-c", source, "-o", objects[i]],
      })),
    );
    const target = zstdAddon(root);
    mkdirSync(dirname(target), { recursive: true });
    const partial = `${target}.${process.pid}`;
    const link = process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : ["-s"];
    await mustRun(cpp, ["-shared", "-pthread", ...link, "-o", partial, ...objects]);
    renameSync(partial, target);
    return undefined;
  } catch (error) {
    const lines = error.message.split("\n");
    return lines.find((line) => /\berror\b/i.test(line)) ?? lines[0];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function filesIn(folder, pattern) {
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(folder, name));
}
