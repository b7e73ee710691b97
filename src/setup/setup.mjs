/**
 * Makes a fresh checkout ready: Bun, the pinned packages, the zstd binding, the CPU kernels. Each step that is done already
 * costs a file look-up. What a machine cannot build is left out and named; only Bun and the packages must succeed.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bunPath, installBun } from "./bun.mjs";
import { findC, findCpp } from "./compiler.mjs";
import { buildNative } from "./native.mjs";
import { mustRun, say } from "./process.mjs";
import { buildZstd, zstdAddon } from "./zstd.mjs";

/** The checkout. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

const stateFile = join(root, "node_modules/.lola/setup.json");

/**
 * @returns {Promise<{bun: string, missing: string[], worked: boolean}>} Bun's path, one line for each part that could not be
 *   built, and whether anything was done
 * @throws Error when Bun or the packages cannot be had
 */
export async function setUp() {
  const key = packagesKey();
  const state = readState();
  let worked = false;
  if (state.key !== key || !existsSync(bunPath(root))) {
    worked = true;
    const bun = await installBun(root);
    say("installing packages");
    await mustRun(bun, ["install", "--frozen-lockfile", "--ignore-scripts"], { cwd: root });
    writeState({ key });
  }
  const missing = [];
  const zstd = await zstdOnce(key);
  if (zstd.reason) missing.push(`zstd-napi is not built (${zstd.reason}); Bun's own zstd is used`);
  const native = await buildNative();
  if (native.reason) {
    missing.push(`the CPU kernels are not built (${native.reason}); without a GPU the slow reference engine is used`);
  }
  if (missing.length > 0 && !(findC() && findCpp())) {
    missing.push(
      "install a C and C++ compiler to make it fast (Debian: apt install g++; macOS: xcode-select --install)",
    );
  }
  return { bun: bunPath(root), missing, worked: worked || zstd.worked || native.worked === true };
}

/** Builds the addon once for a set of packages; a build that failed is tried again only with another compiler. */
async function zstdOnce(key) {
  if (existsSync(zstdAddon(root))) return { worked: false };
  const compilers = [findC(), findCpp()].join();
  const state = readState();
  if (state.zstdFailed?.compilers === compilers) return { worked: false, reason: state.zstdFailed.reason };
  if (findC() && findCpp()) say("building the zstd binding (about 30 s of one core)");
  const reason = await buildZstd(root);
  writeState(reason ? { key, zstdFailed: { compilers, reason } } : { key });
  return { worked: true, reason };
}

/** Changes when the packages or Bun's version change, or the checkout moved to another kind of machine. */
function packagesKey() {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}\0`);
  for (const file of ["package.json", "bun.lock"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function readState() {
  try {
    return JSON.parse(readFileSync(stateFile, "utf8"));
  } catch {
    return {};
  }
}

function writeState(state) {
  mkdirSync(join(stateFile, ".."), { recursive: true });
  writeFileSync(`${stateFile}.${process.pid}`, JSON.stringify(state));
  renameSync(`${stateFile}.${process.pid}`, stateFile);
}
