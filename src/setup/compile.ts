/** Compiles `src/main.ts` into one executable with everything inside: Dawn, zstd, CPU kernels, WGSL, the default model, held-out text, languages. */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { BunPlugin } from "bun";
import * as assets from "../base/assets.ts";

const root = join(import.meta.dir, "../..");

/** Writes `dist/lola`, or the given file, whole or not at all. @throws Error with the bundler's messages */
export async function compile(outfile = join(root, "dist/lola")): Promise<void> {
  const partial = `${resolve(outfile)}.${process.pid}`;
  mkdirSync(dirname(partial), { recursive: true });
  try {
    await Bun.build({
      entrypoints: [join(root, "src/main.ts")],
      target: "bun",
      format: "esm",
      minify: true,
      bytecode: true,
      plugins: [embedAssets, embedZstd],
      // What lies in the folder that lola is started from is data, never its configuration.
      compile: { outfile: partial, autoloadDotenv: false, autoloadBunfig: false },
    });
    renameSync(partial, outfile);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Puts embedded copies in the place of the paths in `src/base/assets.ts`; a file that is not there stays undefined. */
const embedAssets: BunPlugin = {
  name: "assets",
  setup(build) {
    build.onLoad({ filter: /[\\/]src[\\/]base[\\/]assets\.ts$/ }, () => ({
      loader: "js",
      contents: [
        embed("nativePath", assets.nativePath),
        embed("dawnPath", dawnLibrary()),
        embed("modelPath", assets.modelPath),
        embed("declarationPath", assets.declarationPath),
        embed("languagesPath", assets.languagesPath),
        `export const modelLabel = ${JSON.stringify(assets.modelLabel)};`,
      ].join("\n"),
    }));
  },
};

function embed(name: string, path: string | undefined): string {
  if (!path) return `export const ${name} = undefined;`;
  return `import ${name} from ${JSON.stringify(path)} with { type: "file" };\nexport { ${name} };`;
}

/** The library inside bun-webgpu's package for this platform; undefined where there is no such package. */
function dawnLibrary(): string | undefined {
  const folder = join(root, "node_modules", `bun-webgpu-${process.platform}-${process.arch}`);
  if (!existsSync(folder)) return undefined;
  const library = readdirSync(folder).find((name) => /\.(so|dylib|dll)$/.test(name));
  return library && join(folder, library);
}

/** zstd-napi requires its addon by a computed path, which the bundler cannot follow. */
const embedZstd: BunPlugin = {
  name: "zstd",
  setup(build) {
    build.onLoad({ filter: /zstd-napi[\\/]binding\.js$/ }, async ({ path }) => {
      const addon = "./build/Release/binding.node";
      const built = await Bun.file(join(dirname(path), addon)).exists();
      const contents = built
        ? `module.exports = require(${JSON.stringify(addon)});`
        : `throw new Error("this binary was built without zstd-napi");`;
      return { loader: "js", contents };
    });
  },
};

if (import.meta.main) {
  await compile(process.argv[2]);
}
