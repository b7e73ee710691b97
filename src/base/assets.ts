/**
 * Where the files that ship inside the binary lie in a checkout. `src/setup/build.ts` puts a module with the same exports in
 * this one's place, in which each path is that of the embedded copy.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

function ifThere(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

/** The CPU engine's kernels, a shared library; undefined where none could be built. */
export const nativePath: string | undefined = ifThere(
  join(
    root,
    "node_modules/.lola",
    `liblolakernels.${{ darwin: "dylib", win32: "dll" }[process.platform as string] ?? "so"}`,
  ),
);

/** Dawn's shared library; undefined in a checkout, where bun-webgpu finds its own. */
export const dawnPath: string | undefined = undefined;

/** The default model, `weights/NAME.lola`. */
export const modelPath: string | undefined = existsSync(join(root, "weights"))
  ? readdirSync(join(root, "weights"))
      .filter((name) => name.endsWith(".lola"))
      .map((name) => join(root, "weights", name))[0]
  : undefined;

/** The default model's name, without folder and ending. */
export const modelLabel: string | undefined = modelPath?.replace(/^.*[\\/]|\.lola$/g, "");

/** The Universal Declaration of Human Rights in many languages, `weights/declaration.jsonl.zst`. */
export const declarationPath: string | undefined = ifThere(join(root, "weights/declaration.jsonl.zst"));

/** What is known of languages, `weights/languages.jsonl.zst`. */
export const languagesPath: string | undefined = ifThere(join(root, "weights/languages.jsonl.zst"));
