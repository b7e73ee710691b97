/** Checks source files against the layers of the design: who may import what, who may print, who may exit. */
import { dirname, join } from "node:path";

/** Row of each folder. A folder imports from its own files and from rows above it (smaller numbers), never from its peers. */
export const rows: Record<string, number> = {
  "src/base": 0,
  kernels: 0,
  "src/device": 1,
  "src/tokenizer": 1,
  "src/checkpoint": 1,
  "src/model": 2,
  "src/data": 2,
  "src/generate": 3,
  "src/train": 3,
  "src/quantize": 3,
  "src/evaluate": 3,
  "src/routing": 3,
  "src/distributed": 3,
  "src/serve": 4,
  "src/cli": 5,
  "src/main.ts": 6,
};

/** `src/setup` makes a checkout ready and builds the binary; it is no part of the program, so it belongs to no layer. */
const exempt = "src/setup";

/** Single files that a peer may import, each with the reason. */
const shared: readonly { from: string; file: string; reason: string }[] = [
  {
    from: "kernels",
    file: "src/base/random.ts",
    reason: "pure arithmetic; the reference of sampling draws the numbers that the rest of the program draws",
  },
  {
    from: "kernels",
    file: "src/base/quant.ts",
    reason: "pure arithmetic; files and kernels hold the same words",
  },
];

/** Packages and the folders that may import them. Node's and Bun's own modules are free, but for foreign functions. */
const packages: Record<string, readonly string[]> = {
  "@huggingface/jinja": ["src/evaluate"],
  "bun-webgpu": ["src/device/gpu"],
  "@webgpu/types": ["src/device/gpu"],
  "bun:ffi": ["src/device/cpu", "src/device/gpu"],
  cac: ["src/cli"],
  "@clack/prompts": ["src/cli"],
  "@fontsource/noto-sans": ["src/routing/figures"],
  "@resvg/resvg-wasm": ["src/routing/figures"],
  hyparquet: ["src/data"],
  "ml-hclust": ["src/routing"],
  "ml-pca": ["src/routing"],
  msgpackr: ["src/checkpoint"],
  papaparse: ["src/data"],
  "umap-js": ["src/routing"],
  yaml: ["src/evaluate"],
  "zstd-napi": ["src/checkpoint"],
};

/** What code may do only in certain places. */
const deeds: readonly { what: string; pattern: RegExp; allowed: readonly string[] }[] = [
  {
    what: "prints",
    pattern: /\bconsole\s*\.|\b(?:process|Bun)\s*\.\s*(?:stdout|stderr)\b|\bwriteSync\(\s*[12]\b/,
    allowed: ["src/cli"],
  },
  { what: "exits", pattern: /\bprocess\s*\.\s*(?:exit|exitCode|abort|reallyExit)\b/, allowed: ["src/main.ts"] },
];

export interface Import {
  line: number;
  specifier: string;
}

/** Every import of a file: static, re-exported, for its side effects, dynamic, type-only, required. */
export function importsOf(source: string): Import[] {
  const code = withoutComments(source);
  const patterns = [
    /^[ \t]*(?:import|export)\b[^;"'`()=]*?\bfrom\s*(["'`])(.*?)\1/gm,
    /^[ \t]*import\s*(["'])(.*?)\1/gm,
    /\b(?:import|require)\s*\(\s*(["'`])(.*?)\1/g,
  ];
  const found = patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => ({
      line: code.slice(0, match.index + match[0].length).split("\n").length,
      specifier: match[2]!,
    })),
  );
  // An import whose name is worked out when it runs cannot be checked, and cannot be bundled either.
  for (const match of code.matchAll(/\b(?:import|require)\s*\(\s*(?!["'`\s])/g)) {
    found.push({ line: code.slice(0, match.index).split("\n").length, specifier: "(computed)" });
  }
  return found.sort((a, b) => a.line - b.line);
}

/** Comments become blanks, so that lines keep their numbers. Only whole-line and trailing ones: strings stay whole. */
function withoutComments(source: string): string {
  return source
    .replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|[;{},)\s])\/\/[^\n"'`]*$/gm, "$1");
}

/**
 * @param files path from the repository's root → contents, of TypeScript files
 * @returns one line for each offence: `file:line imports "x": why not`
 */
export function offences(files: Iterable<readonly [path: string, source: string]>): string[] {
  const found: string[] = [];
  for (const [path, source] of files) {
    if (isIn(path, exempt)) continue;
    const layer = layerOf(path);
    if (layer === undefined) {
      found.push(`${path}:1 lies in a folder that is not in the table of layers`);
      continue;
    }
    for (const { line, specifier } of importsOf(source)) {
      const why = forbidden(path, layer, specifier);
      if (why) found.push(`${path}:${line} imports "${specifier}": ${why}`);
    }
    withoutComments(source)
      .split("\n")
      .forEach((text, i) => {
        for (const { what, pattern, allowed } of deeds) {
          if (!pattern.test(text) || allowed.some((folder) => isIn(path, folder))) continue;
          found.push(`${path}:${i + 1} ${what}: only ${allowed.join(" and ")} may`);
        }
      });
  }
  return found;
}

/** Why a file may not import something, or undefined. */
function forbidden(path: string, layer: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) {
    const target = join(dirname(path), specifier).replaceAll("\\", "/");
    if (target === "package.json") return undefined;
    const other = layerOf(target);
    if (other === undefined) return "it is in no layer";
    if (other === layer || shared.some(({ from, file }) => from === layer && file === target)) return undefined;
    const [from, to] = [rows[layer]!, rows[other]!];
    if (to < from) return undefined;
    return to === from ? `${layer} and ${other} are peers` : `${other} is below ${layer}`;
  }
  const name = specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : specifier.split("/")[0]!;
  const allowed = packages[name];
  if (allowed) {
    return allowed.some((folder) => isIn(path, folder)) ? undefined : `only ${allowed.join(" and ")} may`;
  }
  return /^(node:.*|bun|bun:.*)$/.test(name) ? undefined : "the package is not in the table";
}

function layerOf(path: string): string | undefined {
  return Object.keys(rows).find((folder) => isIn(path, folder));
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
