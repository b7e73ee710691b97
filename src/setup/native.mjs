/** Builds the CPU engine's kernels, `kernels/native/*.c`, into one shared library that needs nothing but libc. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bunPath } from "./bun.mjs";
import { findC } from "./compiler.mjs";
import { mustRun, run, say } from "./process.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const suffix = { darwin: "dylib", win32: "dll" }[process.platform] ?? "so";

/** Where the library lies. */
export const nativeLibrary = join(root, `node_modules/.lola/liblolakernels.${suffix}`);

/**
 * Multiply-adds may fuse; nothing else about arithmetic is loosened. No -march=native: the library runs elsewhere, and
 * takes the instruction set that it finds there.
 */
const flags = [
  ...["-std=gnu11", "-O3", "-fPIC", "-pthread", "-fvisibility=hidden"],
  ...["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"],
];

const avx512 = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mf16c"];
const amx = [...avx512, "-mavx512vnni", "-mamx-tile", "-mamx-int8"];

/** Compiled from `kernels.c`, each with its own flags; a compiler that lacks them leaves that one out. */
const instructionSets = {
  portable: [],
  ...(process.arch === "x64" && {
    avx2: ["-mavx2", "-mfma", "-mf16c"],
    avx512,
    amx_int8: amx,
    amx: [...amx, "-mavx512bf16", "-mamx-bf16", "-DTILES"],
  }),
};

/** Compiled once. */
const common = ["choose", "memory", "pool"];

/** The library tells what it was built for; the program refuses one that was built for another (src/device/cpu/library.ts). */
const signatures = join(root, "src/setup/signatures.ts");

/** Where that is written down. */
function specifications() {
  const kernels = readdirSync(join(root, "kernels"), { recursive: true }).filter((name) => name.endsWith(".ts"));
  const ofEngine = ["library", "roof", "signature"].map((name) => join(root, `src/device/cpu/${name}.ts`));
  return [...kernels.sort().map((name) => join(root, "kernels", name)), ...ofEngine, signatures];
}

/**
 * Compiles the library when it is missing, or its sources or the kernels' signatures changed.
 * @returns {Promise<{path?: string, reason?: string, worked: boolean}>} the library, or one line that says why there is none
 */
export async function buildNative() {
  const folder = join(root, "kernels/native");
  const hash = createHash("sha256").update(JSON.stringify([flags, instructionSets, common]));
  const names = readdirSync(folder).filter((name) => /\.[ch]$/.test(name));
  for (const name of names.sort()) hash.update(name).update(readFileSync(join(folder, name)));
  const stamp = `${nativeLibrary}.stamp`;
  const [builtKey, builtTexts, library] = builtAs(stamp);
  // Signatures take a run of Bun, so they are asked for only when a text changed.
  const texts = hash.copy();
  for (const path of specifications()) texts.update(readFileSync(path));
  const textsKey = texts.digest("hex");
  if (builtTexts === textsKey) return { path: nativeLibrary, worked: false };
  const lines = (await mustRun(bunPath(root), [signatures])).replaceAll("\n", "\\n");
  const key = hash.update(lines).digest("hex");
  if (builtKey === key) {
    writeStamp(stamp, [key, textsKey, library]);
    return { path: nativeLibrary, worked: false };
  }
  const compiler = findC();
  if (!compiler) return { reason: "no C compiler", worked: false };
  // What this compiler could not build it cannot build the next time.
  const failure = `${nativeLibrary}.failed`;
  const [failed, why] = existsSync(failure) ? readFileSync(failure, "utf8").split("\n") : [];
  if (failed === `${key} ${compiler}`) return { reason: why, worked: false };
  say("building the CPU kernels");
  mkdirSync(dirname(nativeLibrary), { recursive: true });
  const scratch = mkdtempSync(join(dirname(nativeLibrary), "build-"));
  try {
    const reason = await compile(compiler, folder, scratch, lines);
    if (reason) {
      writeFileSync(failure, `${key} ${compiler}\n${reason}`);
      return { reason, worked: true };
    }
    const built = fileHash(join(scratch, "library"));
    renameSync(join(scratch, "library"), nativeLibrary);
    writeStamp(stamp, [key, textsKey, built]);
    return { path: nativeLibrary, worked: true };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Hashes of what the library was built from, and its own; none where it is missing, or another build has replaced it since. */
function builtAs(stamp) {
  if (!existsSync(nativeLibrary) || !existsSync(stamp)) return [];
  const hashes = readFileSync(stamp, "utf8").split("\n");
  return hashes[2] === fileHash(nativeLibrary) ? hashes : [];
}

function writeStamp(stamp, hashes) {
  const partial = `${stamp}.${process.pid}`;
  writeFileSync(partial, hashes.join("\n"));
  renameSync(partial, stamp);
}

const fileHash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Compiles and links `library` in the scratch folder; returns the compiler's first complaint if there is none. */
async function compile(compiler, folder, scratch, lines) {
  const object = (name) => join(scratch, `${name}.o`);
  const cc = (name, source, extra) =>
    run(compiler, [...flags, ...extra, "-c", join(folder, source), "-o", object(name)]);
  const sets = Object.keys(instructionSets);
  const kernels = await Promise.all(
    sets.map((set) => cc(set, "kernels.c", [...instructionSets[set], `-DKERNELS=kernels_${set}`])),
  );
  const [portable] = kernels;
  if (portable.code !== 0) return complaint(portable);
  const built = sets.filter((_, i) => kernels[i].code === 0);
  const have = [...built.map((set) => `-DHAVE_${set.toUpperCase()}`), `-DSIGNATURES="${lines}"`];
  const others = await Promise.all(common.map((name) => cc(name, `${name}.c`, have)));
  const failed = others.find(({ code }) => code !== 0);
  if (failed) return complaint(failed);
  const objects = [...built, ...common].map(object);
  const linked = await run(compiler, ["-shared", "-pthread", ...objects, "-o", join(scratch, "library"), "-lm"]);
  return linked.code === 0 ? undefined : complaint(linked);
}

/** The line of a compiler's output that says what is wrong. */
function complaint({ output }) {
  const lines = output.trim().split("\n");
  return lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "the C compiler failed";
}
