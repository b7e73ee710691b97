/** The one place that decides whether questions may be asked. */
import { isatty } from "node:tty";

/** Someone can read the question (stderr) and answer it (stdin), and neither CI nor `--no-input` forbids it. */
export function isInteractive(
  allowed: boolean,
  env: Record<string, string | undefined> = process.env,
  terminals = { stdin: isatty(0), stderr: isatty(2) },
): boolean {
  return allowed && terminals.stdin && terminals.stderr && !env.CI;
}
