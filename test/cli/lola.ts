/** Runs the program from source, as a user's shell would: its own process, pipes for streams, a home of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface RunOptions {
  /** Piped in; without it stdin is /dev/null. */
  stdin?: string | Uint8Array<ArrayBuffer>;
  env?: Record<string, string>;
  cwd?: string;
}

const home = mkdtempSync(join(tmpdir(), "lola-cli-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));

/** What a command sees of the environment; nothing of the tester's own settings. */
export function environment(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: home, LOLA_HOME: join(home, "lola"), ...extra };
}

export function commandLine(args: readonly string[]): string[] {
  return [process.execPath, join(root, "src/main.ts"), ...args];
}

export async function lola(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = Bun.spawn(commandLine(args), {
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
    env: environment(options.env),
    cwd: options.cwd ?? home,
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

export { home, root };

type Answer = (shown: string) => string | undefined;

/**
 * Runs it in a terminal of its own.
 * @param answer called with everything shown so far whenever more is shown; what it returns is typed, once; of several, one after the other
 */
export async function onTerminal(
  args: readonly string[],
  answer: Answer | readonly Answer[] = [],
  env: Record<string, string> = {},
): Promise<{ code: number; shown: string }> {
  let shown = "";
  const answers = typeof answer === "function" ? [answer] : [...answer];
  const decoder = new TextDecoder();
  const child = Bun.spawn(commandLine(args), {
    cwd: home,
    env: environment({ TERM: "xterm-256color", ...env }),
    terminal: {
      cols: 80,
      rows: 24,
      data(terminal, data) {
        shown += decoder.decode(data, { stream: true });
        const keys = answers[0]?.(shown);
        if (keys === undefined) return;
        answers.shift();
        terminal.write(keys);
      },
    },
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const code = await child.exited;
  child.terminal?.close();
  return { code, shown };
}
