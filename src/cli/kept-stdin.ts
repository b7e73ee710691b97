/** What came on stdin, kept in the folder of a run so that the run can go on. */
import { copyFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Source } from "../data/sources.ts";

/** Where stdin lies, and where in the folder of the run it belongs: absolute. */
export interface KeptStdin {
  from: string;
  to: string;
}

/**
 * The one of these that was stdin, if any. Its name in the run's folder tells format and compression, as a resume reads them.
 * @param folder of the run; undefined: nothing will be trained
 */
export function keptStdin(sources: readonly Source<string>[], folder = ""): KeptStdin | undefined {
  const piped = sources.find((source) => source.label === "stdin");
  if (!piped) return undefined;
  const { path, format, compression } = piped;
  const ending = compression === undefined ? "" : { gzip: ".gz", zstd: ".zst" }[compression];
  return { from: path, to: resolve(join(folder, `stdin.${format === "text" ? "txt" : format}${ending}`)) };
}

/** Paths as given, absolute: they hold wherever a resume is started. */
export function keptPaths(paths: readonly string[], stdin: KeptStdin | undefined): string[] {
  return paths.map((path) => (path === "-" && stdin ? stdin.to : resolve(path)));
}

/** Puts stdin into the run's folder. */
export function keepStdin(stdin: KeptStdin | undefined): void {
  if (stdin) copyFileSync(stdin.from, stdin.to);
}
