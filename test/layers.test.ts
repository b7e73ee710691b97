/** Holds the tree to the design: layers, sizes, nothing left undone. Each check is shown to fail on made-up files. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { importsOf, offences } from "./layers.ts";

const root = join(import.meta.dir, "..");

/** Files of the project itself, found without git, so that an unpacked archive passes as well. */
function filesOf(pattern: string): string[] {
  const folders = "{src,kernels,weights,test,.ci}";
  const found = [...new Bun.Glob(`${folders}/**/${pattern}`).scanSync({ cwd: root, dot: true })];
  return found.map((path) => path.replaceAll("\\", "/")).sort();
}

const read = (path: string) => readFileSync(join(root, path), "utf8");

describe("layers", () => {
  const sources = filesOf("*.ts").filter((path) => /^(src|kernels)\//.test(path));

  test("every import of src and kernels is allowed", () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(offences(sources.map((path) => [path, read(path)]))).toEqual([]);
  });

  test("the scanner misses no import that the bundler sees", () => {
    const transpiler = new Bun.Transpiler({ loader: "ts" });
    for (const path of sources) {
      const seen = new Set(importsOf(read(path)).map((found) => found.specifier));
      for (const { path: specifier } of transpiler.scanImports(read(path))) {
        expect(seen, `${path} imports ${specifier}`).toContain(specifier);
      }
    }
  });

  const cases: [name: string, path: string, source: string, offence: string | undefined][] = [
    ["upwards", "src/model/a.ts", 'import { x } from "../base/errors.ts";', undefined],
    ["its own folder", "src/model/a.ts", 'import { x } from "./b.ts";', undefined],
    ["the manifest", "src/base/v.ts", 'import m from "../../package.json" with { type: "json" };', undefined],
    ["downwards", "src/base/a.ts", '\nimport { x } from "../model/m.ts";', "src/base/a.ts:2 imports"],
    ["a peer", "src/device/a.ts", 'import { x } from "../tokenizer/bpe.ts";', "are peers"],
    ["a shared file of a peer", "kernels/a.ts", 'import { philox } from "../src/base/random.ts";', undefined],
    ["another file of that peer", "kernels/a.ts", 'import { x } from "../src/base/float.ts";', "are peers"],
    ["a peer's type", "src/device/a.ts", 'import type { X } from "../tokenizer/bpe.ts";', "are peers"],
    ["a type inline", "src/base/a.ts", 'type X = import("../model/m.ts").X;', "is below"],
    ["over lines", "src/base/a.ts", 'import {\n  x,\n  y,\n} from "../cli/m.ts";', "src/base/a.ts:4"],
    ["dynamically", "kernels/a.ts", 'const x = await import("../src/model/m.ts");', "is below"],
    ["by re-export", "src/base/a.ts", 'export * from "../model/m.ts";', "is below"],
    ["for side effects", "src/base/a.ts", 'import "../model/m.ts";', "is below"],
    ["a computed name", "src/base/a.ts", "const x = await import(name);", "(computed)"],
    ["Dawn outside gpu", "src/device/choose.ts", 'import { gpu } from "bun-webgpu";', "only src/device/gpu"],
    ["Dawn inside gpu", "src/device/gpu/a.ts", 'import { gpu } from "bun-webgpu";', undefined],
    ["ffi outside cpu", "src/checkpoint/a.ts", 'import { dlopen } from "bun:ffi";', "only src/device/cpu and"],
    ["prompts outside cli", "src/train/a.ts", 'const c = await import("@clack/prompts");', "only src/cli"],
    ["a new package", "src/cli/a.ts", 'import chalk from "chalk";', "not in the table"],
    ["weights", "src/base/a.ts", 'import m from "../../weights/a.ts";', "in no layer"],
    ["printing", "src/generate/a.ts", "  console.log(1);", "src/generate/a.ts:1 prints"],
    ["printing to a stream", "src/base/a.ts", "process.stderr.write(x);", "prints"],
    ["printing in the cli", "src/cli/a.ts", "process.stderr.write(x);", undefined],
    ["exiting", "src/cli/a.ts", "if (bad) process.exit(2);", "only src/main.ts"],
    ["exiting in main", "src/main.ts", "process.exit(2);", undefined],
    ["only in a comment", "src/base/a.ts", '/** import "../cli/m.ts"; */\nx(); // console.log', undefined],
    ["an unknown folder", "src/misc/a.ts", "", "not in the table of layers"],
    ["set-up", "src/setup/a.ts", 'import { x } from "../cli/m.ts"; process.exit(1);', undefined],
  ];
  for (const [name, path, source, offence] of cases) {
    test(`${offence ? "refuses" : "allows"}: ${name}`, () => {
      const found = offences([[path, source]]);
      if (offence === undefined) expect(found).toEqual([]);
      else expect(found.join("\n")).toContain(offence);
    });
  }
});

describe("house style", () => {
  /** Files that may be longer, each with its reason. */
  const longer: Record<string, string> = {};

  /** [file, lines] of those over their limit: 150 for a kernel and its twin, 400 for anything else. */
  function tooLong(files: [path: string, lines: number][]): [string, number][] {
    return files.filter(([path, lines]) => {
      const isKernel = /^kernels\/\w+\/\w+\.(wgsl|ts)$/.test(path) && !path.startsWith("kernels/native/");
      return lines > (isKernel ? 150 : 400) && !(path in longer);
    });
  }

  const code = [...filesOf("*.{ts,mjs,wgsl,c,h}"), ".ci/run"];

  test("no file is longer than 400 lines, no kernel than 150", () => {
    expect(tooLong(code.map((path) => [path, read(path).trimEnd().split("\n").length]))).toEqual([]);
    expect(tooLong([["kernels/moe/x.wgsl", 151]])).toHaveLength(1);
    expect(tooLong([["src/base/x.ts", 401]])).toHaveLength(1);
    for (const path of Object.keys(longer)) expect(code).toContain(path);
  });

  /** Spelled in parts, so that this file does not find itself. */
  const undone = new RegExp(
    `\\b(${["TO", "FIX", "XX", "HA"].map((a, i) => a + ["DO", "ME", "X", "CK"][i]).join("|")})\\b`,
  );

  test("nothing is left for later", () => {
    expect(undone.test(`// ${"TO"}DO: later`)).toBe(true);
    expect(code.filter((path) => undone.test(read(path)))).toEqual([]);
  });

  test("no build output is tracked", () => {
    const tracked = Bun.spawnSync(["git", "ls-files"], { cwd: root, stderr: "ignore" }).stdout.toString().split("\n");
    const output = /^(dist|node_modules)\/|\.(so|dylib|dll|node|o)$|^(package-lock\.json|yarn\.lock|pnpm-lock\.yaml)$/;
    expect(output.test("dist/lola")).toBe(true);
    expect(tracked.filter((path) => output.test(path))).toEqual([]);
    expect(read(".gitignore").split("\n")).toEqual(expect.arrayContaining(["dist/", "node_modules/"]));
  });
});
