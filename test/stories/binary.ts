/** The compiled binary for the story tests: built anew when a source is newer, run with a clean environment. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../src/setup/compile.ts";

export const root = join(import.meta.dir, "../..");

const modified = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Everything that the binary is made of. */
function newestInput(): number {
  const globs = ["src/**/*", "kernels/**/*.{ts,wgsl}", "weights/*.lola", "package.json", "bun.lock"];
  const built = ["node_modules/.lola/liblolakernels.*", "node_modules/zstd-napi/build/Release/binding.node"];
  const files = [...globs, ...built].flatMap((glob) => [...new Bun.Glob(glob).scanSync({ cwd: root, dot: true })]);
  return Math.max(...files.map((file) => modified(join(root, file))));
}

let ready: Promise<string> | undefined;

/** Path of `dist/lola`, up to date. */
export function binary(): Promise<string> {
  ready ??= (async () => {
    const path = join(root, "dist/lola");
    if (modified(path) < newestInput()) await compile(path);
    return path;
  })();
  return ready;
}

/** An empty folder and a home for one test. */
export function scratch(): { folder: string; home: string; [Symbol.dispose](): void } {
  const base = mkdtempSync(join(tmpdir(), "lola-story-"));
  const [folder, home] = [join(base, "here"), join(base, "home")];
  mkdirSync(folder);
  mkdirSync(home);
  return { folder, home, [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }) };
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface Options {
  env?: Record<string, string>;
  /** Bytes for stdin; none: stdin is closed. */
  stdin?: string;
  cwd?: string;
}

/** Milliseconds that a run, or a test of several, may take on a busy machine before it counts as hanging. */
export const patience = 120_000;

/** Runs a shell command line in which `$LOLA` is the binary. The environment holds nothing else, unless given. */
export async function shell(script: string, options: Options = {}): Promise<Ran> {
  const lola = await binary();
  using place = scratch();
  const child = Bun.spawn(["bash", "-c", script], {
    cwd: options.cwd ?? place.folder,
    env: { PATH: "/usr/bin:/bin", HOME: place.home, LOLA: lola, ...options.env },
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    timeout: patience,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

/** Runs the binary itself with these arguments. */
export async function lola(args: string[], options: Options = {}): Promise<Ran> {
  const words = args.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(" ");
  return shell(`exec "$LOLA" ${words}`, options);
}

/** Runs the binary on a terminal. @returns exit code and everything it wrote there */
export async function onTerminal(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; text: string }> {
  const path = await binary();
  using place = scratch();
  let text = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([path, ...args], {
    cwd: place.folder,
    env: { HOME: place.home, TERM: "xterm-256color", ...env },
    terminal: { cols: 80, rows: 24, data: (_, data) => (text += decoder.decode(data, { stream: true })) },
    timeout: patience,
    killSignal: "SIGKILL",
  });
  const code = await child.exited;
  child.terminal?.close();
  return { code, text };
}
